// A server within a program: a job in a thread, watched over HTTP.
import { createJobServer, defineJob } from 'jobcast'
import { createClient } from 'jobcast/client'

const square = defineJob({ type: 'square', isolate: new URL('./square.mjs', import.meta.url) })
const server = createJobServer({ jobs: [square] })
const { url } = await server.listen({ port: 0 })
const client = createClient({ baseUrl: url })
console.log(JSON.stringify(await client.run({ type: 'square', payload: { n: 12 } })))
client.close()
await server.stop()
