import { createElement, StrictMode } from 'react'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createClient, type JobcastClient } from '../../client/index.ts'
import { JobcastProvider, useConnection, useJob, useJobs, useTypes } from '../../client/react/index.ts'
import { JobStore } from '../../client/stores/job-store.ts'
import { JobsStore } from '../../client/stores/jobs-store.ts'
import { ResourceStore } from '../../client/stores/resource-store.ts'
import { aCompletion, aJob, aLog, scriptedFetch, scriptedSockets } from '../helpers/scripted-network.ts'

// It is loaded with the first list.
beforeAll(() => import('../../client/lists.ts'))

let client: JobcastClient
let network: ReturnType<typeof setUp>
beforeEach(() => {
  vi.useFakeTimers()
  network = setUp()
})
afterEach(async () => {
  client.close()
  await pass(0)
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const nothing = () => {}

function setUp() {
  const { sockets, WebSocket } = scriptedSockets()
  const { requests, fetch } = scriptedFetch()
  client = createClient({ baseUrl: 'http://server', WebSocket, fetch })
  return { sockets, socket: () => newest(sockets), requests, request: () => newest(requests) }
}

function newest<T>(list: readonly T[]): T {
  const item = list.at(-1)
  if (item === undefined) throw new Error('there is none yet')
  return item
}

function answersSubscription(jobId: string, changes: Parameters<typeof aJob>[0] = {}) {
  const job = aJob({ jobId, ...changes })
  network.socket().says({ op: 'subscribed', jobId, mode: 'snapshot', reason: 'new', cursor: job.cursor, job })
}

const frames = () => network.sockets.flatMap(({ sent }) => sent)
const submitted = (jobId: string) => ({
  jobId,
  status: 'queued',
  type: 'countdown',
  createdAt: '',
  cursor: 'e1.1',
  token: `t-${jobId}`,
  links: {},
})

describe('a job of a user interface', () => {
  it('is one where it is started twice in one go, as effects of strict mode do', async () => {
    const store = new JobStore(client, { type: 'countdown' })
    const both = [store.startJob({ steps: 3 }), store.startJob({ steps: 3 })]
    expect(network.requests).toHaveLength(1)
    network.request().json(submitted('j1'), 202)
    expect(await Promise.all(both)).toEqual(['j1', 'j1'])
    // Another click.
    const again = store.startJob({ steps: 3 })
    expect(network.requests).toHaveLength(2)
    network.request().json(submitted('j2'), 202)
    await expect(again).resolves.toBe('j2')
  })

  it('is another, and calls the first off, where something is another', async () => {
    const store = new JobStore(client, { type: 'countdown' })
    const { signal } = new AbortController()
    const starts = [
      () => store.startJob({ steps: 3 }),
      () => store.startJob({ steps: 4 }),
      () => store.startJob({ steps: 4 }, { type: 'render' }),
      () => store.startJob({ steps: 4 }, { type: 'render', signal }),
      () => {
        store.reset()
        return store.startJob({ steps: 4 }, { type: 'render', signal })
      },
    ]
    const started = starts.map((start) => start().catch(() => 'called off'))
    expect(network.requests).toHaveLength(5)
    for (const [n, request] of network.requests.entries()) request.json(submitted(`j${n}`), 202)
    expect(await Promise.all(started)).toEqual([...Array(4).fill('called off'), 'j4'])
    expect(store.getSnapshot().jobId).toBe('j4')
  })

  it('is none after a reset, though its submission was answered in the same moment', async () => {
    const store = new JobStore(client, { type: 'countdown' })
    const leave = store.subscribe(nothing)
    const started = store.startJob({ steps: 3 })
    network.request().json(submitted('j1'), 202)
    store.reset()
    await expect(started).resolves.toBe('j1')
    expect(store.getSnapshot()).toMatchObject({ status: 'idle', jobId: null, phase: 'idle' })
    leave()
  })

  it('is none where its id, taken from an address, is one that no job can have', () => {
    const store = new JobStore(client, { jobId: 'x'.repeat(5000) })
    const leave = store.subscribe(nothing)
    expect(store.getSnapshot().error).toMatchObject({ code: 'not_found' })
    leave()
  })

  it.each([null, undefined, ''])('is none yet where its id is %j', async (jobId) => {
    const store = new JobStore(client, { jobId })
    const leave = store.subscribe(nothing)
    expect(store.getSnapshot()).toMatchObject({ status: 'idle', phase: 'idle', jobId: null, error: null })
    await pass(0)
    expect(network.sockets).toHaveLength(0)
    leave()
  })

  it('goes from the click to the result', async () => {
    const store = new JobStore(client, { type: 'countdown' })
    const seen: string[] = []
    const leave = store.subscribe(() => seen.push(store.getSnapshot().status))
    expect(store.getSnapshot()).toMatchObject({ status: 'idle', job: null, phase: 'idle' })
    const starting = store.startJob({ steps: 3 })
    expect(store.getSnapshot().status).toBe('submitting')
    expect(network.request().body).toEqual({ type: 'countdown', payload: { steps: 3 } })
    network.request().json(submitted('j1'), 202)
    await expect(starting).resolves.toBe('j1')
    expect(store.getSnapshot()).toMatchObject({ status: 'queued', jobId: 'j1', phase: 'connecting' })
    network.socket().hello()
    expect(frames()).toEqual([{ op: 'subscribe', jobId: 'j1', token: 't-j1' }])
    answersSubscription('j1')
    const progress = { percent: 40, note: null }
    network
      .socket()
      .says({ op: 'event', jobId: 'j1', prev: 2, seq: 3, at: '', kind: 'progress', data: progress })
    expect(store.getSnapshot()).toMatchObject({ status: 'processing', progress, transport: 'websocket' })
    network.socket().says({ op: 'event', jobId: 'j1', prev: 3, ...aCompletion(4) })
    network.socket().says({ op: 'end', jobId: 'j1', cursor: 'e1.4', status: 'completed' })
    expect(store.getSnapshot()).toMatchObject({ status: 'completed', result: { steps: 3 }, phase: 'ended' })
    expect([...new Set(seen)]).toEqual(['idle', 'submitting', 'queued', 'processing', 'completed'])
    const before = seen.length
    leave()
    store.reset()
    expect(seen).toHaveLength(before)
    expect(store.getSnapshot().status).toBe('idle')
  })

  it('cancels a job that is being submitted as soon as it is stored', async () => {
    const store = new JobStore(client, { type: 'countdown' })
    const starting = store.startJob({ steps: 3 })
    const cancelling = store.cancel()
    expect(network.requests).toHaveLength(1)
    network.request().json(submitted('j1'), 202)
    await starting
    await pass(0)
    expect(network.request().url.pathname).toBe('/api/jobs/j1/cancel')
    network.request().json(aJob({ cancelRequested: true }), 202)
    await expect(cancelling).resolves.toBeUndefined()
  })

  it('cancels nothing where the submission that it was for is refused', async () => {
    const store = new JobStore(client, { type: 'countdown' })
    const starting = store.startJob({ steps: 3 })
    const cancelling = store.cancel()
    network.request().problem(400, 'invalid_payload')
    await expect(starting).rejects.toMatchObject({ code: 'invalid_payload' })
    await expect(cancelling).resolves.toBeUndefined()
    expect(network.requests).toHaveLength(1)
  })

  it('shows why a submission was refused, and rejects', async () => {
    const store = new JobStore(client, { type: 'countdown' })
    const starting = store.startJob({})
    network.request().problem(400, 'invalid_payload')
    await expect(starting).rejects.toMatchObject({ code: 'invalid_payload' })
    expect(store.getSnapshot()).toMatchObject({ status: 'idle', error: { code: 'invalid_payload' } })
    await expect(new JobStore(client).startJob({})).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('is watched only while somebody listens, and over one subscription in Strict Mode', async () => {
    const store = new JobStore(client, { jobId: 'j1', history: true })
    expect(network.sockets).toHaveLength(0)
    store.subscribe(nothing)()
    const leave = store.subscribe(nothing)
    network.socket().hello()
    await pass(0)
    expect(frames()).toEqual([{ op: 'subscribe', jobId: 'j1', history: true }])
    leave()
    await pass(0)
    expect(frames().at(-1)).toEqual({ op: 'unsubscribe', jobId: 'j1' })
    await pass(2000)
    expect(client.connection.getSnapshot().phase).toBe('idle')
  })

  it('keeps what it showed while it is taken up again', async () => {
    const store = new JobStore(client, { jobId: 'j1' })
    const leave = store.subscribe(nothing)
    network.socket().hello()
    answersSubscription('j1')
    leave()
    await pass(0)
    expect(store.getSnapshot()).toMatchObject({ status: 'processing', job: { cursor: 'e1.2' } })
    const again = store.subscribe(nothing)
    expect(store.getSnapshot()).toMatchObject({ status: 'processing', phase: 'connecting' })
    answersSubscription('j1', { cursor: 'e1.7', status: 'queued' })
    expect(store.getSnapshot()).toMatchObject({ status: 'queued', phase: 'live' })
    again()
  })

  it('shows its place in line while it is queued, and none after that', async () => {
    const store = new JobStore(client, { jobId: 'j1' })
    const leave = store.subscribe(nothing)
    network.socket().hello()
    answersSubscription('j1', { status: 'queued', cursor: 'e1.1' })
    expect(store.getSnapshot()).toMatchObject({ status: 'queued', queue: null })
    const startsAt = '2026-11-23T15:50:00.000Z'
    network.socket().says({ op: 'place', jobId: 'j1', place: 3, startsAt })
    expect(store.getSnapshot()).toMatchObject({ queue: { place: 3, startsAt }, job: { cursor: 'e1.1' } })
    network.socket().ends()
    expect(store.getSnapshot()).toMatchObject({ phase: 'reconnecting', queue: { place: 3 } })
    await pass(1000)
    network.socket().hello()
    const replay = { op: 'subscribed', jobId: 'j1', mode: 'resume', cursor: 'e1.1', events: [] } as const
    network.socket().says(replay)
    network.socket().says({ op: 'place', jobId: 'j1', place: 1, startsAt: null })
    expect(store.getSnapshot()).toMatchObject({ phase: 'live', queue: { place: 1, startsAt: null } })
    // The same place, held up now; an older server would say nothing of that.
    network.socket().says({ op: 'place', jobId: 'j1', place: 1, startsAt: null, held: 'paused' })
    expect(store.getSnapshot()).toMatchObject({ queue: { place: 1, held: 'paused' } })
    network.socket().says({ op: 'place', jobId: 'j1', place: 1, startsAt: null })
    expect(store.getSnapshot()).toMatchObject({ queue: { place: 1, held: null } })
    const claimed = { seq: 2, at: '', kind: 'status', data: { status: 'processing' } } as const
    network.socket().says({ op: 'event', jobId: 'j1', prev: 1, ...claimed })
    expect(store.getSnapshot()).toMatchObject({ status: 'processing', queue: null })
    network.socket().says({ op: 'place', jobId: 'j1', place: 1, startsAt: null })
    expect(store.getSnapshot().queue).toBeNull()
    leave()
  })

  it('is retried, and watched again with its cursor', async () => {
    const store = new JobStore(client, { jobId: 'j1' })
    const leave = store.subscribe(nothing)
    network.socket().hello()
    answersSubscription('j1', { status: 'failed', error: 'no', errorCode: 'handler_error', cursor: 'e1.4' })
    network.socket().says({ op: 'end', jobId: 'j1', cursor: 'e1.4', status: 'failed' })
    expect(store.getSnapshot()).toMatchObject({ status: 'failed', error: 'no', phase: 'ended' })
    const retrying = store.retry()
    expect(network.request().url.pathname).toBe('/api/jobs/j1/retry')
    network.request().json(aJob({ status: 'queued', cursor: 'e1.5' }), 202)
    await retrying
    expect(store.getSnapshot()).toMatchObject({ status: 'queued', error: null, phase: 'connecting' })
    const job = aJob({ cursor: 'e1.7' })
    const events = [4, 5, 6, 7].map(aLog)
    network.socket().says({
      op: 'subscribed',
      jobId: 'j1',
      mode: 'snapshot',
      reason: 'new',
      cursor: 'e1.7',
      job,
      events,
    })
    expect(store.getSnapshot()).toMatchObject({ status: 'processing', phase: 'live' })
    expect(store.getSnapshot().events.map(({ seq }) => seq)).toEqual([6, 7])
    leave()
  })

  it('shows a command that was refused', async () => {
    const store = new JobStore(client, { jobId: 'j1' })
    const leave = store.subscribe(nothing)
    network.socket().hello()
    answersSubscription('j1')
    const cancelling = store.cancel()
    network.request().problem(409, 'already_finished')
    await expect(cancelling).rejects.toMatchObject({ code: 'already_finished' })
    expect(store.getSnapshot().error).toMatchObject({ code: 'already_finished' })
    leave()
  })

  it('shows that there is no such job', () => {
    const store = new JobStore(client, { jobId: 'j1' })
    const leave = store.subscribe(nothing)
    network.socket().hello()
    network
      .socket()
      .says({ op: 'error', jobId: 'j1', code: 'not_found', message: 'no such job', retry: false })
    expect(store.getSnapshot()).toMatchObject({
      status: 'idle',
      phase: 'refused',
      error: { code: 'not_found' },
    })
    leave()
  })

  it('calls a submission off with reset', async () => {
    const store = new JobStore(client, { type: 'countdown' })
    const starting = store.startJob({})
    store.reset()
    await expect(starting).rejects.toMatchObject({ code: 'aborted' })
    expect(store.getSnapshot()).toMatchObject({ status: 'idle', error: null })
  })
})

describe('a list of jobs', () => {
  const page = (jobs: ReturnType<typeof aJob>[], nextPage: string | null = null) =>
    network.request().json({ jobs, nextPage })
  const done = (jobId: string) => aJob({ jobId, status: 'completed' })
  const ids = (store: JobsStore) => store.getSnapshot().jobs.map(({ jobId }) => jobId)
  const subscriptions = () => frames().filter(({ op }) => op === 'subscribe' || op === 'unsubscribe')
  /** A server from before there were lists greets, and does not know the first frame. */
  const olderServerAnswers = () => {
    network.socket().hello()
    network.socket().says({ op: 'error', code: 'bad_frame', message: 'op: Invalid input', retry: false })
  }
  const tells = (op: 'list' | 'changes', rest: Record<string, unknown>) => {
    const asked = frames().findLast((frame) => frame.op === 'watch')
    network.socket().says({ op, list: asked?.list, ...rest })
  }
  const summary = (changes: Parameters<typeof aJob>[0]) => {
    const { payload: _payload, result: _result, ...rest } = aJob(changes)
    return rest
  }

  it('is told by the server, and reads nothing again', async () => {
    const store = new JobsStore(client, { type: 'countdown', limit: 2 }, 3000)
    const leave = store.subscribe(nothing)
    const before = network.requests.length
    page([aJob({ jobId: 'a', status: 'queued' })])
    await vi.dynamicImportSettled()
    network.socket().hello()
    expect(frames()).toEqual([{ op: 'watch', list: 'list-1', type: ['countdown'], limit: 2 }])
    const at = (ms: number) => new Date(ms).toISOString()
    const [a, b, c] = ['a', 'b', 'c'].map((jobId, n) =>
      summary({ jobId, status: 'queued', createdAt: at(1000 * n) }),
    )
    tells('list', { reason: 'new', jobs: [a] })
    tells('changes', { jobs: [b], gone: [] })
    expect(ids(store)).toEqual(['b', 'a'])
    tells('changes', { jobs: [{ ...b, status: 'processing', cursor: 'e1.3' }], gone: [] })
    expect(store.getSnapshot().jobs[0]?.status).toBe('processing')
    expect(subscriptions()).toEqual([{ op: 'subscribe', jobId: 'b' }])
    tells('changes', { jobs: [c], gone: ['a'] })
    expect(ids(store)).toEqual(['c', 'b'])
    await pass(10_000)
    expect(network.requests).toHaveLength(before)
    // What was pushed out is on the page after this one.
    expect(store.getSnapshot().hasMore).toBe(true)
    leave()
    expect(frames().filter(({ op }) => op === 'unwatch')).toHaveLength(1)
  })

  it('is read again while the socket is away, and is told again once it is back', async () => {
    const store = new JobsStore(client, {}, 3000)
    const leave = store.subscribe(nothing)
    page([])
    await pass(0)
    network.socket().hello()
    tells('list', { reason: 'new', jobs: [] })
    const before = network.requests.length
    await pass(4000)
    expect(network.requests).toHaveLength(before)
    network.socket().ends()
    await pass(3000)
    expect(network.requests).toHaveLength(before + 1)
    page([aJob({ jobId: 'a', status: 'completed' })])
    await pass(1000)
    expect(ids(store)).toEqual(['a'])
    network.socket().hello()
    tells('list', { reason: 'new', jobs: [] })
    expect(ids(store)).toEqual([])
    leave()
  })

  it('is read again until it was read once, though the server tells', async () => {
    const store = new JobsStore(client, { limit: 1 }, 3000)
    const leave = store.subscribe(nothing)
    network.request().problem(503, 'unavailable')
    await pass(0)
    network.socket().hello()
    const jobs = [aJob({ jobId: 'b', status: 'completed' })]
    tells('list', { reason: 'new', jobs: [summary({ jobId: 'b', status: 'completed' })] })
    expect(store.getSnapshot()).toMatchObject({ loading: false, error: null, hasMore: false })
    await pass(3000)
    page(jobs, 'p2')
    await pass(0)
    expect(store.getSnapshot().hasMore).toBe(true)
    const before = network.requests.length
    await pass(5000)
    expect(network.requests).toHaveLength(before)
    leave()
  })

  it('stands still when the client is closed', async () => {
    const store = new JobsStore(client, {}, 3000)
    const leave = store.subscribe(nothing)
    page([aJob({ jobId: 'a', status: 'queued' })])
    await pass(0)
    network.socket().hello()
    tells('list', { reason: 'new', jobs: [summary({ jobId: 'a', status: 'queued' })] })
    client.close()
    expect(ids(store)).toEqual(['a'])
    expect(subscriptions()).toEqual([])
    leave()
  })

  it('cannot be told by status: it is read again', async () => {
    const store = new JobsStore(client, { status: 'failed' }, 3000)
    const leave = store.subscribe(nothing)
    page([])
    await pass(3000)
    expect(network.requests).toHaveLength(2)
    expect(network.sockets).toHaveLength(0)
    leave()
  })

  it('watches what is unfinished, and keeps the watches of what stays', async () => {
    const store = new JobsStore(client, { limit: 10 }, 3000)
    const leave = store.subscribe(nothing)
    expect(network.request().url.search).toBe('?limit=10')
    page([aJob({ jobId: 'b' }), aJob({ jobId: 'a', status: 'completed' })])
    await pass(0)
    expect(store.getSnapshot()).toMatchObject({ loading: false, error: null, hasMore: false })
    olderServerAnswers()
    expect(subscriptions()).toEqual([{ op: 'subscribe', jobId: 'b' }])
    answersSubscription('b')
    network.socket().says({ op: 'event', jobId: 'b', prev: 2, ...aLog(3) })
    expect(store.getSnapshot().jobs[0]?.cursor).toBe('e1.3')
    await pass(3000)
    page([aJob({ jobId: 'c' }), aJob({ jobId: 'b' }), aJob({ jobId: 'a', status: 'completed' })])
    await pass(0)
    expect(ids(store)).toEqual(['c', 'b', 'a'])
    expect(store.getSnapshot().jobs[1]?.cursor).toBe('e1.3')
    expect(subscriptions()).toEqual([
      { op: 'subscribe', jobId: 'b' },
      { op: 'subscribe', jobId: 'c' },
    ])
    leave()
    await pass(2000)
    expect(client.connection.getSnapshot().phase).toBe('idle')
  })

  it('is not made anew by a place in line', async () => {
    const store = new JobsStore(client, {}, 3000)
    const leave = store.subscribe(nothing)
    page([aJob({ status: 'queued', cursor: 'e1.1' })])
    await pass(0)
    olderServerAnswers()
    answersSubscription('j1', { status: 'queued', cursor: 'e1.1' })
    const before = store.getSnapshot()
    network.socket().says({ op: 'place', jobId: 'j1', place: 2, startsAt: null })
    expect(store.getSnapshot()).toBe(before)
    const claimed = { seq: 2, at: '', kind: 'status', data: { status: 'processing' } } as const
    network.socket().says({ op: 'event', jobId: 'j1', prev: 1, ...claimed })
    expect(store.getSnapshot().jobs[0]?.status).toBe('processing')
    leave()
  })

  it('watches a job again that was retried by hand', async () => {
    const store = new JobsStore(client, {}, 3000)
    const leave = store.subscribe(nothing)
    page([aJob()])
    await pass(0)
    olderServerAnswers()
    answersSubscription('j1', { status: 'failed', cursor: 'e1.4' })
    network.socket().says({ op: 'end', jobId: 'j1', cursor: 'e1.4', status: 'failed' })
    expect(store.getSnapshot().jobs[0]?.status).toBe('failed')
    // An older list changes nothing; a newer one shows that it goes on.
    await pass(3000)
    page([aJob({ cursor: 'e1.3' })])
    await pass(0)
    expect(store.getSnapshot().jobs[0]?.status).toBe('failed')
    expect(subscriptions()).toHaveLength(1)
    await pass(3000)
    page([aJob({ cursor: 'e1.5', status: 'queued' })])
    await pass(0)
    expect(store.getSnapshot().jobs[0]?.status).toBe('queued')
    expect(network.sockets).toHaveLength(2)
    network.socket().hello()
    expect(subscriptions()).toHaveLength(2)
    leave()
  })

  it('shows an error beside what it has', async () => {
    const store = new JobsStore(client, {}, 3000)
    const leave = store.subscribe(nothing)
    page([aJob({ status: 'completed' })])
    await pass(3000)
    network.request().problem(503, 'unavailable')
    await pass(0)
    expect(store.getSnapshot()).toMatchObject({ jobs: [{ jobId: 'j1' }], error: { code: 'unavailable' } })
    leave()
  })

  it('loads further pages, and refreshes them with the first', async () => {
    const store = new JobsStore(client, { limit: 2 }, 3000)
    const leave = store.subscribe(nothing)
    page([done('d'), done('c')], 'p2')
    await pass(0)
    const more = store.loadMore()
    expect(store.getSnapshot().loading).toBe(true)
    expect(network.request().url.search).toBe('?limit=2&page=p2')
    page([done('b'), done('a')], 'p3')
    await more
    expect(ids(store)).toEqual(['d', 'c', 'b', 'a'])
    await pass(3000)
    expect(network.request().url.search).toBe('?limit=4')
    page([done('e'), done('d'), done('c'), done('a')], 'p4')
    await pass(0)
    expect(ids(store)).toEqual(['e', 'd', 'c', 'a'])
    expect(store.getSnapshot()).toMatchObject({ nextPage: 'p4', hasMore: true })
    leave()
  })

  it('has each job once, whatever a page repeats of the one before', async () => {
    const store = new JobsStore(client, { limit: 2 }, 3000)
    const leave = store.subscribe(nothing)
    page([done('d'), done('c')], 'p2')
    await pass(0)
    const more = store.loadMore()
    page([done('c'), done('b')], 'p3')
    await more
    expect(ids(store)).toEqual(['d', 'c', 'b'])
    leave()
  })

  it('shows no answer to a question that was asked again since', async () => {
    const store = new JobsStore(client, { limit: 2 }, 3000)
    const leave = store.subscribe(nothing)
    page([done('old')])
    void store.refresh()
    await pass(0)
    expect(store.getSnapshot()).toMatchObject({ jobs: [], loading: true })
    page([done('new')])
    await pass(0)
    expect(ids(store)).toEqual(['new'])
    leave()
  })
})

describe('something read again and again', () => {
  it('keeps its data over a failure, and stops when nobody listens', async () => {
    const store = new ResourceStore(3000, (signal) => client.types({ signal }))
    const leave = store.subscribe(nothing)
    network.request().json({ types: [] })
    await pass(0)
    expect(store.getSnapshot()).toEqual({ data: { types: [] }, loading: false, error: null })
    await pass(3000)
    network.request().breaks()
    await pass(0)
    expect(store.getSnapshot()).toMatchObject({ data: { types: [] }, error: { code: 'network' } })
    leave()
    const before = network.requests.length
    await pass(10_000)
    expect(network.requests).toHaveLength(before)
  })
})

function Page() {
  const { status } = useJob({ jobId: 'j1' })
  const { loading } = useJobs({ status: 'failed' })
  const { data } = useTypes()
  const { phase } = useConnection()
  return createElement('p', null, `${status} ${loading} ${data} ${phase}`)
}

describe('the hooks', () => {
  it('render on a server, where nothing is connected', () => {
    const tree = createElement(JobcastProvider, { client }, createElement(Page))
    expect(renderToString(createElement(StrictMode, null, tree))).toBe('<p>loading true null idle</p>')
    expect(network.requests).toHaveLength(0)
    expect(network.sockets).toHaveLength(0)
  })

  it('say what is missing without a provider', () => {
    expect(() => renderToString(createElement(Page))).toThrow('no <JobcastProvider> is above this component')
  })
})
