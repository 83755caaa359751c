import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createClient, type JobcastClient } from '../../client/index.ts'
import { JobcastProvider, JobProgress, useJob } from '../../client/react/index.ts'
import { createJobStore, type JobStoreOptions } from '../../client/stores/job-store.ts'
import { aCompletion, aJob, aLog, scriptedFetch, scriptedSockets } from '../helpers/scripted-network.ts'

const network = { ...scriptedSockets(), ...scriptedFetch() }
let client: JobcastClient
beforeEach(() => {
  vi.useFakeTimers()
  Object.assign(network, scriptedSockets(), scriptedFetch())
  client = createClient({ baseUrl: 'http://server', WebSocket: network.WebSocket, fetch: network.fetch })
})
afterEach(async () => {
  client.close()
  await pass(0)
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const frames = () => network.sockets.flatMap(({ sent }) => sent)
const nothing = () => {}

function socket() {
  const newest = network.sockets.at(-1)
  if (newest === undefined) throw new Error('there is no socket yet')
  return newest
}

type Event = ReturnType<typeof aLog> | ReturnType<typeof aCompletion>
const resumed = (events: Event[] = [], cursor = `e1.${events.at(-1)?.seq ?? 2}`) =>
  socket().says({ op: 'subscribed', jobId: 'j1', mode: 'resume', cursor, events })
const snapshot = (changes: Parameters<typeof aJob>[0], events?: Event[]) => {
  const job = aJob(changes)
  const { jobId, cursor } = job
  socket().says({ op: 'subscribed', jobId, mode: 'snapshot', reason: 'new', cursor, job, events })
}
const happens = (event: Event) => socket().says({ op: 'event', jobId: 'j1', prev: event.seq - 1, ...event })

/** What the callbacks of a store are told. */
function listening(options: JobStoreOptions = {}) {
  const told: unknown[] = []
  const store = createJobStore(client, {
    onCompleted: (result, { jobId }) => told.push(['completed', jobId, result]),
    onFailed: (error, { jobId }) => told.push(['failed', jobId, error]),
    onEvent: ({ seq }) => told.push(seq),
    ...options,
  })
  return { store, told }
}

describe('a job that a server has read before', () => {
  it('is shown at once, and watched from its cursor on', async () => {
    const { store, told } = listening({ initialJob: aJob({ progress: { percent: 20, note: null } }) })
    const before = { status: 'processing', jobId: 'j1', progress: { percent: 20 }, phase: 'connecting' }
    expect(store.getSnapshot()).toMatchObject(before)
    const leave = store.subscribe(nothing)
    expect(store.getSnapshot()).toMatchObject(before)
    socket().hello()
    expect(frames()).toEqual([{ op: 'subscribe', jobId: 'j1', after: 'e1.2', history: true }])
    resumed([aLog(3), aLog(4)])
    happens(aCompletion(5))
    expect(store.getSnapshot()).toMatchObject({ status: 'completed', result: { steps: 3 } })
    await pass(0)
    expect(told).toEqual([3, 4, 5, ['completed', 'j1', { steps: 3 }]])
    leave()
  })

  it('is shown until its history is there, where that is wanted', () => {
    const { store, told } = listening({ initialJob: aJob({ cursor: 'e1.3' }), history: true })
    const leave = store.subscribe(nothing)
    socket().hello()
    expect(frames()).toEqual([{ op: 'subscribe', jobId: 'j1', history: true }])
    expect(store.getSnapshot()).toMatchObject({ status: 'processing', phase: 'connecting', events: [] })
    snapshot({ cursor: 'e1.3' }, [aLog(1), aLog(2), aLog(3)])
    expect(told).toEqual([1, 2, 3])
    leave()
  })

  it('is told to have begun anew where the store has lost its history', () => {
    const { store } = listening({ initialJob: aJob({ cursor: 'e1.9' }) })
    const leave = store.subscribe(nothing)
    socket().hello()
    const job = aJob({ cursor: 'e2.1', status: 'queued' })
    socket().says({ op: 'subscribed', jobId: 'j1', mode: 'snapshot', reason: 'epoch', cursor: 'e2.1', job })
    expect(store.getSnapshot()).toMatchObject({ status: 'queued', missed: { reason: 'epoch' } })
    leave()
  })

  it('needs no connection where it had ended', async () => {
    const initialJob = aJob({ status: 'completed', result: 7, completedAt: '2026-11-23T15:50:00.000Z' })
    const { store, told } = listening({ jobId: 'j1', initialJob })
    expect(store.getSnapshot()).toMatchObject({ status: 'completed', result: 7, phase: 'ended' })
    // It is not told before somebody listens: on a server nobody does.
    expect(told).toEqual([])
    store.subscribe(nothing)()
    store.subscribe(nothing)()
    await pass(0)
    expect(told).toEqual([['completed', 'j1', 7]])
    expect(network.sockets).toHaveLength(0)
  })

  it('counts for nothing where another one is asked for', () => {
    const initialJob = aJob({ jobId: 'j2' })
    expect(createJobStore(client, { jobId: 'j1', initialJob }).getSnapshot()).toMatchObject({
      status: 'loading',
      jobId: 'j1',
      job: null,
    })
    expect(createJobStore(client, { jobId: null, initialJob }).getSnapshot().status).toBe('idle')
  })
})

describe('who wants to hear of a job', () => {
  it('hears every event of the one that was submitted here, and once how it ended', async () => {
    const { store, told } = listening({ type: 'countdown' })
    const leave = store.subscribe(nothing)
    const starting = store.startJob({})
    network.requests[0]?.json({ jobId: 'j1', status: 'queued', cursor: 'e1.1', links: {} }, 202)
    await starting
    socket().hello()
    expect(frames()).toEqual([{ op: 'subscribe', jobId: 'j1', history: true }])
    snapshot({ cursor: 'e1.3' }, [aLog(1), aLog(2), aLog(3)])
    happens(aCompletion(4))
    socket().says({ op: 'end', jobId: 'j1', cursor: 'e1.4', status: 'completed' })
    leave()
    store.subscribe(nothing)()
    await pass(0)
    expect(told).toEqual([2, 3, 4, ['completed', 'j1', { steps: 3 }]])
  })

  it('hears no event again when the job is taken up again with its history', () => {
    const { store, told } = listening({ jobId: 'j1', history: true })
    const leave = store.subscribe(nothing)
    socket().hello()
    snapshot({ cursor: 'e1.2' }, [aLog(1), aLog(2)])
    leave()
    const again = store.subscribe(nothing)
    snapshot({ cursor: 'e1.3' }, [aLog(1), aLog(2), aLog(3)])
    expect(told).toEqual([1, 2, 3])
    again()
  })

  it('hears of each end, where it was retried in between', async () => {
    const { store, told } = listening({ jobId: 'j1' })
    const leave = store.subscribe(nothing)
    socket().hello()
    const failed = { status: 'failed', error: 'no', errorCode: 'handler_error' } as const
    snapshot({ ...failed, cursor: 'e1.4', completedAt: '2026-11-23T15:50:00.000Z' })
    socket().says({ op: 'end', jobId: 'j1', cursor: 'e1.4', status: 'failed' })
    const retrying = store.retry()
    network.requests[0]?.json(aJob({ status: 'queued', cursor: 'e1.5' }), 202)
    await retrying
    resumed([], 'e1.5')
    const data = { ...failed, completedAt: '2026-11-23T15:51:00.000Z' }
    socket().says({ op: 'event', jobId: 'j1', prev: 5, seq: 6, at: '', kind: 'status', data })
    await pass(0)
    expect(told).toEqual([['failed', 'j1', 'no'], 6, ['failed', 'j1', 'no']])
    leave()
  })

  it('may throw, which stops nothing', async () => {
    const thrown: unknown[] = []
    const hear = (error: unknown) => void thrown.push(error)
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', hear)
    const fails = () => {
      throw new Error('of a callback')
    }
    const { store } = listening({ jobId: 'j1', onCompleted: fails, onEvent: fails })
    const leave = store.subscribe(nothing)
    socket().hello()
    snapshot({ cursor: 'e1.2' })
    happens(aCompletion(3))
    expect(store.getSnapshot().status).toBe('completed')
    await pass(0)
    process.off('uncaughtException', hear)
    for (const listener of listeners) process.on('uncaughtException', listener)
    expect(thrown).toHaveLength(2)
    leave()
  })
})

it('a job is watched with the token that came along with its id', () => {
  const store = createJobStore(client, { jobId: 'j1', token: 'given' })
  const leave = store.subscribe(nothing)
  socket().hello()
  expect(frames()).toEqual([{ op: 'subscribe', jobId: 'j1', token: 'given' }])
  leave()
})

it('a job that cannot be seen is loading no longer', () => {
  const store = createJobStore(client, { jobId: 'j1' })
  expect(store.getSnapshot().status).toBe('loading')
  const leave = store.subscribe(nothing)
  socket().hello()
  socket().says({ op: 'error', jobId: 'j1', code: 'not_found', message: 'no such job', retry: false })
  expect(store.getSnapshot()).toMatchObject({ status: 'idle', error: { code: 'not_found' } })
  leave()
})

it('a store calls back at once with its value, as stores of Svelte do', () => {
  const seen: string[] = []
  createJobStore(client).subscribe(({ status }) => seen.push(status))()
  expect(seen).toEqual(['idle'])
})

describe('a server', () => {
  it('renders the job that it has read, and calls nothing', () => {
    const initialJob = aJob({ progress: { percent: 41.7, note: 'Third of seven' } })
    const page = renderToString(
      createElement(
        JobcastProvider,
        { baseUrl: '/api/jobcast' },
        createElement(JobProgress, { initialJob, label: 'Rendering' }),
      ),
    )
    expect(page).toContain('Third of seven')
    expect(page).toContain('41%')
    expect(page).toMatch(/role="progressbar" aria-label="Rendering" [^>]*aria-valuenow="41"/)
    expect(network.requests).toHaveLength(0)
  })

  it('says which option there is not, and of a mistake in one what it must be', () => {
    const Wrong = () => createElement('p', null, useJob({ initialJob: 'j1' as never }).status)
    const page = createElement(JobcastProvider, { client }, createElement(Wrong))
    expect(() => renderToString(page)).toThrow(
      'useJob: initialJob must be a job, as get resolves to, or null',
    )
  })
})
