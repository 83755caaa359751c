import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createClient, type JobcastClient } from '../../client/index.ts'
import { aJob, scriptedFetch, scriptedSockets } from '../helpers/scripted-network.ts'

let client: JobcastClient
let network: ReturnType<typeof scriptedSockets>
beforeEach(() => {
  vi.useFakeTimers()
  network = scriptedSockets()
  client = createClient({
    baseUrl: 'http://server',
    credential: 'key',
    WebSocket: network.WebSocket,
    fetch: scriptedFetch().fetch,
  })
})
afterEach(async () => {
  client.close()
  await vi.advanceTimersByTimeAsync(0)
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

test('a list that was closed at once is never asked for', async () => {
  const [closed, kept] = [client.watchList({ type: 'a' }), client.watchList({ type: 'b' })]
  closed.close()
  await vi.dynamicImportSettled()
  socket().hello()
  expect(socket().sent.map(({ list }) => list)).toEqual(['list-2'])
  const states: string[] = []
  kept.subscribe(({ phase }) => states.push(phase))
  client.close()
  expect(states).toEqual(['connecting', 'refused'])
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const socket = () => {
  const newest = network.sockets.at(-1)
  if (newest === undefined) throw new Error('there is no socket yet')
  return newest
}

async function anotherSocket(): Promise<void> {
  const before = network.sockets.length
  while (network.sockets.length === before) await pass(100)
}

function summary(jobId: string, changes: Parameters<typeof aJob>[0] = {}) {
  const { payload: _payload, result: _result, ...rest } = aJob({ jobId, ...changes })
  return rest
}

test('a list is asked for, told, and let go of', async () => {
  const list = client.watchList({ jobIds: ['b', 'a', 'x', 'b'] })
  expect(list.getSnapshot()).toEqual({ phase: 'connecting', jobs: [], missing: [], error: null })
  await vi.dynamicImportSettled()
  socket().hello()
  expect(socket().sent).toEqual([{ op: 'watch', list: 'list-1', jobIds: ['b', 'a', 'x'], token: 'key' }])
  const jobs = [summary('b'), summary('a')]
  socket().says({ op: 'list', list: 'list-1', reason: 'new', jobs, missing: ['x'] })
  expect(list.getSnapshot()).toEqual({ phase: 'live', jobs, missing: ['x'], error: null })
  const changed = summary('b', { status: 'completed' })
  socket().says({ op: 'changes', list: 'list-1', jobs: [changed], gone: ['a'] })
  socket().says({ op: 'changes', list: 'list-7', jobs: [summary('z')], gone: ['b'] })
  expect(list.getSnapshot().jobs).toEqual([changed])
  list.close()
  expect(socket().sent.at(-1)).toEqual({ op: 'unwatch', list: 'list-1' })
  await pass(2000)
  expect(client.connection.getSnapshot().phase).toBe('idle')
})

test('a list is asked for anew after an interruption, and shows what it had until then', async () => {
  const list = client.watchList()
  await vi.dynamicImportSettled()
  socket().hello()
  socket().says({ op: 'list', list: 'list-1', reason: 'new', jobs: [summary('a')] })
  socket().ends()
  expect(list.getSnapshot()).toMatchObject({ phase: 'reconnecting', jobs: [{ jobId: 'a' }] })
  // However often it fails: nothing further down carries a list.
  for (let n = 0; n < 5; n++) {
    await anotherSocket()
    socket().ends()
  }
  await anotherSocket()
  expect(client.connection.getSnapshot().transport).toBe('websocket')
  socket().hello()
  socket().says({ op: 'list', list: 'list-1', reason: 'new', jobs: [summary('b')] })
  expect(list.getSnapshot()).toMatchObject({ phase: 'live', jobs: [{ jobId: 'b' }] })
})

test('a refusal is final; a store that is away is asked again', async () => {
  const [refused, patient] = [client.watchList({ type: 'a' }), client.watchList({ type: 'b' })]
  await vi.dynamicImportSettled()
  socket().hello()
  socket().says({ op: 'error', list: 'list-1', code: 'forbidden', message: 'no', retry: false })
  socket().says({ op: 'error', list: 'list-2', code: 'unavailable', message: 'away', retry: true })
  expect(refused.getSnapshot()).toMatchObject({ phase: 'refused', error: { code: 'forbidden' } })
  await pass(5000)
  expect(socket().sent.map(({ list }) => list)).toEqual(['list-1', 'list-2', 'list-2'])
  socket().says({ op: 'list', list: 'list-2', reason: 'new', jobs: [] })
  expect(patient.getSnapshot().phase).toBe('live')
  socket().ends()
  await pass(2000)
  socket().hello()
  expect(socket().sent.map(({ list }) => list)).toEqual(['list-2'])
})

test('an older server is asked once', async () => {
  const list = client.watchList()
  await vi.dynamicImportSettled()
  socket().hello()
  socket().says({ op: 'error', code: 'bad_frame', message: 'op: Invalid input', retry: false })
  expect(list.getSnapshot()).toMatchObject({ phase: 'refused', error: { code: 'bad_frame' } })
  const another = client.watchList()
  await vi.dynamicImportSettled()
  expect(another.getSnapshot().phase).toBe('refused')
  expect(socket().sent).toHaveLength(1)
})

test('no other transport carries lists', async () => {
  const { fetch } = scriptedFetch()
  const polling = createClient({ baseUrl: 'http://server', transports: ['polling'], fetch })
  const list = polling.watchList()
  await vi.dynamicImportSettled()
  expect(list.getSnapshot().phase).toBe('unsupported')
  list.close()
  polling.close()
  expect(() => polling.watchList()).toThrow('closed')
})
