import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { ServerFrame } from '../../shared/protocol.ts'
import { submit } from '../helpers/api.ts'
import { dataFolder, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const WSCAT = fileURLToPath(new URL('../../node_modules/.bin/wscat', import.meta.url))

test('wscat prints every event of a job, as the README says', async () => {
  const data = await dataFolder()
  onTestFinished(() => data.remove())
  const server = await startServer({ JOBCAST_DATA: data.path })
  onTestFinished(() => server.kill())
  // Paused until wscat has subscribed, so that it sees everything.
  await fetch(`${server.url}/api/types/countdown/pause`, { method: 'POST' })
  const { jobId } = await submit(server.url, {
    type: 'countdown',
    payload: { steps: 3, stepMs: 30, logs: true },
  })

  const wscat = spawn(WSCAT, ['-c', `${server.url.replace('http', 'ws')}/ws?job=${jobId}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void wscat.kill('SIGKILL'))
  let printed = ''
  wscat.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  const frames = () =>
    [...printed.matchAll(/\{"op":.*\}/g)].map(([text]) => ServerFrame.parse(JSON.parse(text)))
  await until(() => frames().some(({ op }) => op === 'subscribed'), {
    what: 'the answer to the subscription',
  })
  await fetch(`${server.url}/api/types/countdown/resume`, { method: 'POST' })
  await until(() => frames().some(({ op }) => op === 'end'), { what: 'the end of the job' })

  const seqs = frames().flatMap((frame) => (frame.op === 'event' ? [frame.seq] : []))
  expect(frames().slice(0, 2)).toMatchObject([{ op: 'hello' }, { op: 'subscribed', mode: 'snapshot' }])
  expect(seqs).toEqual(seqs.map((_, index) => (seqs[0] ?? 0) + index))
  expect(frames().filter((frame) => frame.op === 'event' && frame.kind === 'log')).toHaveLength(3)
  expect(frames().at(-1)).toMatchObject({ op: 'end', status: 'completed' })
})
