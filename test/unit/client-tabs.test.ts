import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { missed } from '../../client/history.ts'
import type { ServerFrame } from '../../shared/protocol.ts'
import { stagePage } from '../helpers/page-stage.ts'
import { aCompletion, aJob, aLog, type ScriptedSocket } from '../helpers/scripted-network.ts'
import { scriptedBrowser } from '../helpers/scripted-tabs.ts'

type Browser = ReturnType<typeof scriptedBrowser>
type OpenedTab = ReturnType<Browser['openTab']>

let browser: Browser
let opened: OpenedTab[]
beforeEach(() => {
  vi.useFakeTimers()
  browser = scriptedBrowser()
  opened = []
})
afterEach(async () => {
  for (const { tab } of opened) tab.close()
  await pass(0)
  expect(vi.getTimerCount()).toBe(0)
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

function openTab(): OpenedTab {
  const tab = browser.openTab()
  opened.push(tab)
  return tab
}

function last<T>(list: readonly T[]): T {
  const item = list.at(-1)
  if (item === undefined) throw new Error('there is none yet')
  return item
}

const subscribed = (jobId = 'j1', seq = 2) => {
  const cursor = `e1.${seq}`
  return {
    op: 'subscribed',
    jobId,
    mode: 'snapshot',
    reason: 'new',
    cursor,
    job: aJob({ jobId, cursor }),
  } as const
}

const resumed = (seq: number, events: ReturnType<typeof aLog>[] = []) =>
  ({ op: 'subscribed', jobId: 'j1', mode: 'resume', cursor: `e1.${seq}`, events }) as const

const logged = (seq: number, jobId = 'j1'): ServerFrame => ({
  op: 'event',
  jobId,
  prev: seq - 1,
  ...aLog(seq),
})

function answerRead({ requests }: OpenedTab, seq: number, after?: number): void {
  const job = aJob({ cursor: `e1.${seq}` })
  const events = after === undefined ? [] : range(after + 1, seq).map(aLog)
  const mode = after === undefined ? { mode: 'snapshot', reason: 'new' } : { mode: 'resume' }
  last(requests).json({ ...job, ...mode, events })
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

function subscriptions({ sent }: ScriptedSocket, jobId = 'j1') {
  return sent.filter((frame) => frame.op === 'subscribe' && frame.jobId === jobId)
}

/** A tab that leads and watches `j1`, at `e1.2`. */
async function leading() {
  const leader = openTab()
  const watched = leader.watch()
  await pass(0)
  const socket = last(leader.sockets)
  socket.hello()
  socket.says(subscribed())
  await pass(0)
  expect(watched.watch.getSnapshot().phase).toBe('live')
  return { leader, socket, ...watched }
}

/** And one that follows it, in step. */
async function following() {
  const led = await leading()
  const follower = openTab()
  const watched = follower.watch()
  await pass(0)
  answerRead(follower, 2)
  await pass(0)
  expect(watched.watch.getSnapshot().phase).toBe('live')
  return { ...led, follower, followed: watched }
}

describe('tabs that share', () => {
  it('have one connection, and a job subscribed once', async () => {
    const { leader, socket, seen, follower, followed } = await following()
    socket.says(logged(3))
    await pass(0)
    expect([seen, followed.seen]).toEqual([[3], [3]])
    expect([leader.sockets.length, follower.sockets.length]).toEqual([1, 0])
    expect(subscriptions(socket)).toHaveLength(1)
    expect(follower.tab.state.getSnapshot()).toEqual({ transport: 'websocket', phase: 'open' })
    expect(followed.watch.getSnapshot()).toMatchObject({ transport: 'websocket', job: { cursor: 'e1.3' } })
    socket.says({ op: 'event', jobId: 'j1', prev: 3, ...aCompletion(4) })
    socket.says({ op: 'end', jobId: 'j1', cursor: 'e1.4', status: 'completed' })
    await pass(0)
    await expect(followed.watch.finished).resolves.toMatchObject({ status: 'completed' })
    expect(follower.requests).toHaveLength(1)
  })

  it("carry a job that only one of them watches, with that one's token, and tell no other of it", async () => {
    const { socket } = await leading()
    const follower = openTab()
    const { watch, seen } = follower.watch('j2', { token: 't2', history: true })
    await pass(0)
    expect(last(socket.sent)).toEqual({ op: 'subscribe', jobId: 'j2', token: 't2', history: true })
    openTab().watch('j3')
    await pass(0)
    socket.says({ ...subscribed('j2'), events: [aLog(1), aLog(2)] })
    await pass(0)
    expect(watch.getSnapshot().phase).toBe('live')
    const before = browser.channels.count
    socket.says(logged(3, 'j2'))
    await pass(0)
    expect(seen).toEqual([1, 2, 3])
    expect(browser.channels.count - before).toBe(1)
    expect(follower.requests).toHaveLength(0)
    watch.close()
    await pass(0)
    expect(last(socket.sent)).toEqual({ op: 'unsubscribe', jobId: 'j2' })
  })

  it('hold what flows until who came later has caught up, from its own cursor', async () => {
    const { socket } = await leading()
    const follower = openTab()
    const { watch, seen } = follower.watch('j1', { history: true })
    await pass(0)
    expect(last(follower.requests).url.search).toBe('?after=&wait=0&history=1&place=0')
    for (const seq of [3, 4, 5]) socket.says(logged(seq))
    await pass(0)
    expect(seen).toEqual([])
    const events = [1, 2, 3, 4].map(aLog)
    last(follower.requests).json({ ...aJob({ cursor: 'e1.4' }), mode: 'snapshot', reason: 'new', events })
    await pass(0)
    expect(seen).toEqual([1, 2, 3, 4, 5])
    socket.says(logged(6))
    await pass(0)
    expect(watch.getSnapshot().events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6])
    expect(follower.requests).toHaveLength(1)
  })

  it('read again where the flow begins anew in between', async () => {
    const { socket } = await leading()
    const follower = openTab()
    const { watch, seen } = follower.watch()
    await pass(0)
    socket.says({ ...subscribed('j1', 9), reason: 'trimmed' })
    await pass(0)
    expect(follower.requests[0]?.signal.aborted).toBe(true)
    await pass(1000)
    answerRead(follower, 9)
    await pass(0)
    socket.says(logged(10))
    await pass(0)
    expect(seen).toEqual([10])
    expect(watch.getSnapshot().phase).toBe('live')
  })

  it('resume together after an interruption, from where they were', async () => {
    const { leader, socket, seen, follower, followed } = await following()
    socket.says(logged(3))
    await pass(6000)
    socket.ends()
    await pass(0)
    expect(followed.watch.getSnapshot().phase).toBe('reconnecting')
    expect(follower.tab.state.getSnapshot().phase).toBe('waiting')
    await pass(1000)
    last(leader.sockets).hello()
    expect(last(last(leader.sockets).sent)).toEqual({
      op: 'subscribe',
      jobId: 'j1',
      after: 'e1.3',
      history: true,
    })
    last(leader.sockets).says(resumed(5, [aLog(4), aLog(5)]))
    await pass(0)
    expect([seen, followed.seen]).toEqual([
      [3, 4, 5],
      [3, 4, 5],
    ])
    expect(followed.watch.getSnapshot().phase).toBe('live')
  })

  it('are all told while the server cannot reach its store', async () => {
    const { socket, watch, follower, followed } = await following()
    const phases = () => [
      watch.getSnapshot().phase,
      followed.watch.getSnapshot().phase,
      follower.tab.state.getSnapshot().phase,
    ]
    socket.says({ op: 'ping', unavailable: true })
    await pass(0)
    expect(phases()).toEqual(['reconnecting', 'reconnecting', 'unavailable'])
    socket.says({ op: 'ping' })
    await pass(0)
    expect(phases()).toEqual(['live', 'live', 'open'])
  })

  it('are told the place in line of a job, who comes later as well', async () => {
    const { leader, socket } = await leading()
    const one = leader.watch('j2')
    await pass(0)
    const queued = aJob({ jobId: 'j2', status: 'queued', cursor: 'e1.1' })
    socket.says({ ...subscribed('j2', 1), job: queued })
    const startsAt = '2026-11-23T16:00:00.000Z'
    socket.says({ op: 'place', jobId: 'j2', place: 3, startsAt })
    const follower = openTab()
    const other = follower.watch('j2')
    await pass(0)
    const queue = { place: 3, startsAt, held: null }
    last(follower.requests).json({ ...queued, mode: 'snapshot', reason: 'new', events: [], queue })
    await pass(0)
    expect(one.watch.getSnapshot().queue).toEqual(queue)
    expect(other.watch.getSnapshot().queue).toEqual(queue)
    socket.says({ op: 'place', jobId: 'j2', place: 2, startsAt })
    await pass(0)
    expect(other.watch.getSnapshot().queue).toEqual({ place: 2, startsAt, held: null })
    const data = { status: 'processing' } as const
    socket.says({ op: 'event', jobId: 'j2', prev: 1, seq: 2, at: startsAt, kind: 'status', data })
    await pass(0)
    expect(other.watch.getSnapshot()).toMatchObject({ queue: null, job: { status: 'processing' } })
  })

  it('give a snapshot of another history to all, and its past to those who want it', async () => {
    const { socket, watch } = await leading()
    const follower = openTab()
    const followed = follower.watch('j1', { history: true })
    await pass(0)
    last(follower.requests).json({
      ...aJob(),
      mode: 'snapshot',
      reason: 'new',
      events: [aLog(1), aLog(2)],
    })
    await pass(0)
    const job = aJob({ cursor: 'e2.7' })
    const snapshot = {
      op: 'subscribed',
      jobId: 'j1',
      mode: 'snapshot',
      reason: 'epoch',
      cursor: 'e2.7',
      job,
      trimmed: 5,
    } as const
    socket.says({ ...snapshot, events: [aLog(6), aLog(7)] })
    await pass(0)
    expect(watch.getSnapshot()).toMatchObject({
      job: { cursor: 'e2.7' },
      events: [missed('epoch', 1, 7)],
    })
    expect(followed.watch.getSnapshot().events).toEqual([missed('epoch', 1, 5), aLog(6), aLog(7)])
    // Subscribed before anybody wanted a past, it may come without.
    socket.says({ ...snapshot, cursor: 'e3.7', job: aJob({ cursor: 'e3.7' }) })
    await pass(1000)
    expect(last(follower.requests).url.search).toBe('?after=e2.7&wait=0&history=1&place=0')
  })
})

describe('credentials', () => {
  it('are proved by each tab for itself', async () => {
    const leader = openTab()
    const one = leader.watch('j1', { token: 'good' })
    await pass(0)
    const socket = last(leader.sockets)
    socket.hello()
    socket.says(subscribed())
    const follower = openTab()
    const other = follower.watch('j1', { token: 'bad' })
    await pass(0)
    expect(last(follower.requests).headers.get('authorization')).toBe('Bearer bad')
    last(follower.requests).problem(401, 'unauthorized')
    await expect(other.watch.finished).rejects.toMatchObject({ code: 'unauthorized' })
    await pass(0)
    socket.says(logged(3))
    expect(one.seen).toEqual([3])
    expect(other.seen).toEqual([])
  })

  it('that are refused cost only the tab whose they are its watch', async () => {
    const { socket } = await leading()
    const [bad, good] = [openTab(), openTab()]
    const refused = bad.watch('j2', { token: 'bad' })
    const accepted = good.watch('j2', { token: 'good' })
    await pass(0)
    expect(subscriptions(socket, 'j2')).toEqual([{ op: 'subscribe', jobId: 'j2', token: 'bad' }])
    socket.says({ op: 'error', jobId: 'j2', code: 'unauthorized', message: 'who?', retry: false })
    await pass(0)
    await expect(refused.watch.finished).rejects.toMatchObject({ code: 'unauthorized', message: 'who?' })
    expect(last(socket.sent)).toEqual({ op: 'subscribe', jobId: 'j2', token: 'good' })
    socket.says(subscribed('j2'))
    await pass(0)
    expect(accepted.watch.getSnapshot().phase).toBe('live')
  })

  it('are renewed by the tab whose they are', async () => {
    const { socket } = await leading()
    const follower = openTab()
    const followed = follower.watch('j2', {
      token: 'old',
      renew: () => {
        followed.state.token = 'new'
        return Promise.resolve(true)
      },
    })
    await pass(0)
    socket.says(subscribed('j2'))
    socket.says({ op: 'unsubscribed', jobId: 'j2', code: 'token_expired', retry: true })
    await pass(0)
    expect(last(socket.sent)).toEqual({
      op: 'subscribe',
      jobId: 'j2',
      after: 'e1.2',
      history: true,
      token: 'new',
    })
    followed.state.token = 'newer'
    follower.tab.credentialChanged(followed.watched)
    await pass(0)
    expect(last(socket.sent)).toEqual({ op: 'token', jobId: 'j2', token: 'newer' })
  })
})

describe('when the tab that leads', () => {
  it.each([
    ['is closed', (leader: OpenedTab) => leader.tab.close()],
    ['crashes', (leader: OpenedTab) => leader.crash()],
  ])('%s, another does, from the cursors', async (_name, end) => {
    const { leader, socket, follower, followed } = await following()
    const third = openTab()
    const watched = third.watch()
    await pass(0)
    answerRead(third, 2)
    await pass(0)
    socket.says(logged(3))
    await pass(0)
    end(leader)
    await pass(0)
    expect(followed.watch.getSnapshot().phase).toBe('reconnecting')
    expect([follower.sockets.length, third.sockets.length]).toEqual([1, 0])
    const next = last(follower.sockets)
    next.hello()
    await pass(0)
    expect(next.sent).toEqual([{ op: 'subscribe', jobId: 'j1', after: 'e1.3', history: true }])
    next.says(resumed(4, [aLog(4)]))
    next.says(logged(5))
    await pass(0)
    expect([followed.seen, watched.seen]).toEqual([
      [3, 4, 5],
      [3, 4, 5],
    ])
    expect(third.tab.state.getSnapshot()).toEqual({ transport: 'websocket', phase: 'open' })
  })

  it('is stuck, the others help themselves within six seconds until it is not', async () => {
    const { leader, socket, follower, followed } = await following()
    leader.stick()
    await pass(6000)
    expect(follower.sockets).toHaveLength(1)
    const own = last(follower.sockets)
    own.hello()
    expect(own.sent).toEqual([{ op: 'subscribe', jobId: 'j1', after: 'e1.2', history: true }])
    own.says(resumed(3, [aLog(3)]))
    leader.unstick()
    await pass(3000)
    expect(own.closedByClient).toBe(true)
    socket.says(logged(3))
    socket.says(logged(4))
    await pass(0)
    answerRead(follower, 4, 3)
    await pass(0)
    socket.says(logged(5))
    await pass(0)
    expect(followed.seen).toEqual([3, 4, 5])
    expect(followed.watch.getSnapshot().phase).toBe('live')
  })

  it('is frozen, it gives the lead away and follows when it is back', async () => {
    const page = stagePage()
    const { leader, socket, watch, seen } = await leading()
    stagePage()
    const follower = openTab()
    const followed = follower.watch()
    await pass(0)
    answerRead(follower, 2)
    await pass(0)
    page.onDocument('freeze')
    await pass(0)
    expect(socket.closedByClient).toBe(true)
    expect(watch.getSnapshot().phase).toBe('reconnecting')
    const next = last(follower.sockets)
    next.hello()
    next.says(resumed(2))
    next.says(logged(3))
    await pass(60_000)
    page.onDocument('resume')
    await pass(0)
    answerRead(leader, 3, 2)
    await pass(0)
    expect([seen, followed.seen]).toEqual([[3], [3]])
    expect(leader.sockets).toHaveLength(1)
    expect(watch.getSnapshot().phase).toBe('live')
  })

  it('does not answer at first, a tab waits three seconds for it', async () => {
    const { leader } = await leading()
    leader.stick()
    const other = openTab()
    other.watch()
    await pass(2999)
    expect(other.sockets).toHaveLength(0)
    await pass(1)
    expect(other.sockets).toHaveLength(1)
  })

  it('is quiet, it is asked whether it is still there, and followed', async () => {
    const { socket, follower } = await following()
    for (let n = 0; n < 6; n++) {
      socket.says({ op: 'ping' })
      await pass(10_000)
    }
    expect(follower.sockets).toHaveLength(0)
    expect(follower.tab.state.getSnapshot()).toEqual({ transport: 'websocket', phase: 'open' })
  })
})

describe('a tab that follows', () => {
  it.each([
    ['is closed', (tab: OpenedTab) => tab.tab.close()],
    ['crashes', (tab: OpenedTab) => tab.crash()],
  ])('%s: its subscriptions are dropped', async (_name, end) => {
    const { socket } = await leading()
    const follower = openTab()
    follower.watch('j2')
    await pass(0)
    socket.says(subscribed('j2'))
    end(follower)
    await pass(0)
    expect(last(socket.sent)).toEqual({ op: 'unsubscribe', jobId: 'j2' })
  })

  it('has a connection of its own where locks are forbidden', async () => {
    browser.locks.forbidden = true
    const tab = openTab()
    const { watch } = tab.watch()
    await pass(0)
    last(tab.sockets).hello()
    last(tab.sockets).says(subscribed())
    expect(watch.getSnapshot().phase).toBe('live')
  })

  it('goes on by reading where what flows has a gap, not in a circle', async () => {
    const { socket, follower, followed } = await following()
    socket.says(logged(3))
    await pass(0)
    // As if a message had been lost between the tabs.
    followed.watched.event(aLog(4), 3)
    followed.watched.event(aLog(5), 4)
    socket.says({ op: 'event', jobId: 'j1', prev: 3, ...aLog(7) })
    await pass(0)
    expect(last(follower.requests).url.search).toBe('?after=e1.5&wait=0&history=1&place=0')
    answerRead(follower, 7, 5)
    await pass(0)
    expect(followed.seen).toEqual([3, 4, 5, 6, 7])
  })
})
