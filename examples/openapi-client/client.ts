// A typed client without anything of Jobcast: `npm run generate` writes jobcast.d.ts from /openapi.json of a server that has
// the type `word-count` (examples/node has). Then `node client.ts 'To be or not to be'`, with Node 22.18 or newer. Where keys
// are set, the types are described for whoever sends one: JOBCAST_KEY.
import createClient from 'openapi-fetch'
import type { components, paths } from './jobcast.d.ts'

type WordCount = components['schemas']['WordCountJob']

const { JOBCAST_URL = 'http://127.0.0.1:3300', JOBCAST_KEY } = process.env
const jobcast = createClient<paths>({
  baseUrl: JOBCAST_URL,
  headers: JOBCAST_KEY ? { authorization: `Bearer ${JOBCAST_KEY}` } : {},
})

// The payload is that of the type: another one does not compile.
const submitted = await jobcast.POST('/api/jobs', {
  body: { type: 'word-count', payload: { text: process.argv[2] ?? 'to be or not to be' } },
})
if (submitted.error) throw new Error(submitted.error.detail)

const path = { id: submitted.data.jobId }
let after = submitted.data.cursor
for (;;) {
  // Answered as soon as something happens, at the latest after 20 seconds.
  const polled = await jobcast.GET('/api/jobs/{id}', { params: { path, query: { after, wait: 20 } } })
  if (polled.error) throw new Error(polled.error.detail)
  after = polled.data.cursor
  if (polled.data.progress) console.log(`${polled.data.progress.percent} %`)
  if (polled.data.status === 'failed') throw new Error(polled.data.error ?? 'failed')
  if (polled.data.status === 'cancelled') throw new Error('cancelled')
  if (polled.data.status === 'completed') {
    const { result } = polled.data as WordCount
    console.log(`${result?.words} words`)
    break
  }
}
