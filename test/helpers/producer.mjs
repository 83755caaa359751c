// Submits a job straight to the Redis of an argument, and leaves its client as the other says: `closed`, or as it is.
import { createJobClient } from '../../dist/server/index.js'

const [redis, prefix, end] = process.argv.slice(2)
const client = createJobClient({ redis, prefix, log: false })
process.stdout.write(`${await client.run({ type: 'double', payload: { n: 3 } })}\n`)
if (end === 'closed') client.close()
