import { createClient } from 'jobcast/client'

/** Where `npm run dev` has started Jobcast. */
const client = createClient({ baseUrl: process.env.JOBCAST_URL ?? 'http://127.0.0.1:3300' })

const { jobId } = await client.submit({
  type: 'word-count',
  payload: { text: 'The quick brown fox jumps over the lazy dog' },
})
const watch = client.watch(jobId)
for await (const event of watch) {
  if (event.kind === 'log') console.log(`- ${event.data.line}`)
  if (event.kind === 'progress') console.log(`${Math.round(event.data.percent)} %`)
}
const { status, result } = await watch.finished
console.log(status, result)
client.close()
