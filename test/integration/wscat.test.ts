import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { ServerFrame } from '../../shared/protocol.ts'
import { submit } from '../helpers/api.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const WSCAT = fileURLToPath(new URL('../../node_modules/.bin/wscat', import.meta.url))

async function openServer(): Promise<ServerProcess> {
  const data = await dataFolder()
  onTestFinished(() => data.remove())
  const server = await startServer({ JOBCAST_DATA: data.path, ...SAMPLES })
  onTestFinished(() => server.kill())
  return server
}

/** wscat, connected to an address; what it printed so far as frames, and a way to type. */
function openWscat(address: string): { frames(): ServerFrame[]; type(frame: object): void } {
  const wscat = spawn(WSCAT, ['-c', address.replace('http', 'ws')], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void wscat.kill('SIGKILL'))
  let printed = ''
  wscat.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  return {
    frames: () => [...printed.matchAll(/\{"op":.*\}/g)].map(([text]) => ServerFrame.parse(JSON.parse(text))),
    type: (frame) => void wscat.stdin.write(`${JSON.stringify(frame)}\n`),
  }
}

test('wscat prints every event of a job, as the README says', async () => {
  const server = await openServer()
  // Paused until wscat has subscribed, so that it sees everything.
  await fetch(`${server.url}/api/types/countdown/pause`, { method: 'POST' })
  const { jobId } = await submit(server.url, {
    type: 'countdown',
    payload: { steps: 3, stepMs: 30, logs: true },
  })

  const { frames } = openWscat(`${server.url}/ws?job=${jobId}`)
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

test('frames typed into wscat are answered', async () => {
  const server = await openServer()
  const { jobId } = await submit(server.url, {
    type: 'countdown',
    payload: {},
    options: { delayMs: 60_000 },
  })
  const { frames, type } = openWscat(`${server.url}/ws`)
  const answer = (op: string) => until(() => frames().some((frame) => frame.op === op), { what: op })
  await answer('hello')
  type({ op: 'ping' })
  await answer('pong')
  type({ op: 'subscribe', jobId })
  await answer('subscribed')
  type({ op: 'unsubscribe', jobId })
  await answer('unsubscribed')
  type({ op: 'dance' })
  await answer('error')
})
