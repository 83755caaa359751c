import { describe, expect, it } from 'vitest'
import { JobcastError } from '../../client/errors.ts'
import { missed, type WatchEvent } from '../../client/history.ts'
import { Watch, type WatchOptions } from '../../client/watch.ts'
import { WatchedJob } from '../../client/watched-job.ts'
import type { JobEvent } from '../../shared/event.ts'
import type { Job } from '../../shared/job.ts'
import { aCompletion, aJob, aLog, aProgress } from '../helpers/scripted-network.ts'

function setUp(options: WatchOptions = {}) {
  const history = options.history === true || options.after !== undefined
  const released: WatchedJob[] = []
  const watched = new WatchedJob({
    jobId: 'j1',
    history,
    credential: () => undefined,
    renew: () => Promise.resolve(true),
    released: () => released.push(watched),
  })
  const seen: number[] = []
  const watch = new Watch(watched, {
    ...options,
    onEvent: (event) => {
      seen.push(event.seq)
      options.onEvent?.(event)
    },
  })
  return { watched, watch, seen, released }
}

/** Without `onEvent`. */
function setUpUnheard() {
  const { watched, watch: first, released } = setUp()
  const watch = new Watch(watched, {})
  first.close()
  return { watched, watch, released }
}

const snapshot = (
  job: Job,
  reason: 'new' | 'epoch' | 'trimmed' | 'ahead',
  events?: JobEvent[],
  trimmed?: number,
) => ({ mode: 'snapshot', reason, job, trimmed, cursor: job.cursor, ...(events ? { events } : {}) }) as const

const seqs = (events: readonly WatchEvent[]) => events.map(({ seq }) => seq)

describe('a watched job', () => {
  it('folds events after a snapshot, each once and in order', () => {
    const { watched, watch, seen } = setUp()
    expect(watch.getSnapshot().phase).toBe('connecting')
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    expect(watched.event(aLog(3), 2)).toBe(true)
    expect(watched.event(aLog(3), 2)).toBe(true)
    expect(watched.event(aLog(1), 0)).toBe(true)
    expect(watched.event(aProgress(4, 40), 3)).toBe(true)
    const { phase, job, events, transport } = watch.getSnapshot()
    expect({ phase, transport, cursor: job?.cursor, progress: job?.progress }).toEqual({
      phase: 'live',
      transport: 'websocket',
      cursor: 'e1.4',
      progress: { percent: 40, note: null },
    })
    expect(seqs(events)).toEqual([3, 4])
    expect(seen).toEqual([3, 4])
  })

  it('refuses an event after a gap, and takes merged progress', () => {
    const { watched, seen } = setUp()
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    expect(watched.event(aLog(4), 3)).toBe(false)
    expect(watched.cursor).toBe('e1.2')
    expect(watched.event(aProgress(5), 2)).toBe(true)
    expect(watched.event(aLog(6), 5)).toBe(true)
    expect(seen).toEqual([5, 6])
  })

  it('applies of a resume only what is new, and takes its position', () => {
    const { watched, seen } = setUp()
    watched.replayed(snapshot(aJob(), 'new'), 'sse')
    watched.event(aLog(3), null)
    watched.replayed({ mode: 'resume', cursor: 'e1.7', events: [aLog(3), aLog(5)] }, 'websocket')
    expect(seen).toEqual([3, 5])
    expect(watched.cursor).toBe('e1.7')
    expect(watched.event(aLog(8), 7)).toBe(true)
  })

  it('ignores a snapshot of the same history that lags behind, and follows one of another', () => {
    const { watched, watch, seen } = setUp({ history: true })
    watched.replayed(snapshot(aJob(), 'new', [aLog(1), aLog(2)]), 'websocket')
    watched.event(aLog(3), 2)
    watched.replayed(snapshot(aJob(), 'trimmed', [aLog(1), aLog(2)]), 'sse')
    expect(watched.cursor).toBe('e1.3')
    expect(watch.getSnapshot().transport).toBe('sse')
    watched.replayed(snapshot(aJob({ cursor: 'e2.1', status: 'queued' }), 'epoch', [aLog(1)]), 'websocket')
    expect(watch.getSnapshot().job?.status).toBe('queued')
    expect(watch.getSnapshot().events).toEqual([missed('epoch', 1, 0), aLog(1)])
    expect(seen).toEqual([1, 2, 3, 0, 1])
  })

  it('goes back where the store says that the cursor is ahead of its history', () => {
    const { watched } = setUp()
    watched.replayed(snapshot(aJob({ cursor: 'e1.9' }), 'new'), 'websocket')
    watched.replayed(snapshot(aJob({ cursor: 'e1.4' }), 'ahead'), 'websocket')
    expect(watched.cursor).toBe('e1.4')
  })

  it('forgets the events of a lost history', () => {
    const { watched, watch } = setUp()
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    watched.event(aLog(3), 2)
    watched.replayed(snapshot(aJob({ cursor: 'e2.5' }), 'epoch'), 'websocket')
    expect(watch.getSnapshot().events).toEqual([missed('epoch', 1, 5)])
  })

  it('does not end before its terminal event, whatever `end` says', () => {
    const { watched, watch } = setUp()
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    expect(watched.ended('e1.2')).toBe(false)
    expect(watch.getSnapshot().phase).toBe('live')
    watched.event(aCompletion(3), 2)
    expect(watched.ended('e1.3')).toBe(true)
    expect(watch.getSnapshot().phase).toBe('ended')
  })

  it('keeps one object until something changes', () => {
    const { watched, watch } = setUp()
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    const state = watch.getSnapshot()
    watched.event(aLog(1), 0)
    expect(watch.getSnapshot()).toBe(state)
    watched.event(aLog(3), 2)
    expect(watch.getSnapshot()).not.toBe(state)
  })

  it('merges progress between other events and bounds the list', () => {
    const { watched, watch } = setUp()
    watched.replayed(snapshot(aJob({ cursor: 'e1.0' }), 'new'), 'websocket')
    for (let seq = 1; seq <= 3; seq++) watched.event(aProgress(seq), seq - 1)
    watched.event(aLog(4), 3)
    watched.event(aProgress(5), 4)
    expect(seqs(watch.getSnapshot().events)).toEqual([3, 4, 5])
    const many = Array.from({ length: 3000 }, (_, index) => aLog(6 + index))
    watched.replayed({ mode: 'resume', cursor: 'e1.3005', events: many }, 'websocket')
    const { events, missed: hole } = watch.getSnapshot()
    expect(events.slice(0, 2)).toEqual([missed('trimmed', 4, 1005), aLog(1006)])
    expect(events).toHaveLength(2001)
    expect(events.at(-1)?.seq).toBe(3005)
    expect(hole).toEqual({ from: 4, to: 1005, reason: 'trimmed' })
    watched.event(aLog(3006), 3005)
    expect(watch.getSnapshot().events.slice(0, 2)).toEqual([missed('trimmed', 4, 1006), aLog(1007)])
    expect(watch.getSnapshot().events).toHaveLength(2001)
  })

  it('keeps the changes of status where a flood of logs goes over the bound', () => {
    const { watched, watch } = setUp({ history: true })
    const claim = { ...aCompletion(2), data: { status: 'processing' } } as const
    watched.replayed(snapshot(aJob(), 'new', [claim]), 'websocket')
    for (let seq = 3; seq < 2103; seq++) watched.event(aLog(seq), seq - 1)
    expect(watch.getSnapshot().events.slice(0, 3)).toEqual([claim, missed('trimmed', 3, 103), aLog(104)])
  })

  it('ends with the terminal job, and not before its terminal event', async () => {
    const { watched, watch, released } = setUp()
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    expect(watched.ended('e1.3')).toBe(false)
    watched.event(aCompletion(3), 2)
    expect(watched.ended('e1.3')).toBe(true)
    await expect(watch.finished).resolves.toMatchObject({ status: 'completed', result: { steps: 3 } })
    expect(watch.getSnapshot().phase).toBe('ended')
    expect(released).toEqual([watched])
    watched.interrupted()
    watched.event(aLog(4), 3)
    expect(watch.getSnapshot()).toMatchObject({ phase: 'ended', job: { cursor: 'e1.3' } })
  })

  it('rejects what will never finish', async () => {
    const { watched, watch } = setUp()
    watched.refused(new JobcastError('not_found', 'no such job'))
    await expect(watch.finished).rejects.toMatchObject({ code: 'not_found' })
    expect(watch.getSnapshot()).toMatchObject({ phase: 'refused', error: { code: 'not_found' } })
  })

  it('asks for a new credential once between two successes', async () => {
    const { watched } = setUp()
    expect(await watched.renew()).toBe(true)
    expect(await watched.renew()).toBe(false)
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    expect(await watched.renew()).toBe(true)
  })
})

describe('what is missing', () => {
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => aLog(from + index))

  it.each([{ history: true }, { history: false }])(
    'is told in its place where a watch comes back too late (%o)',
    (options) => {
      const { watched, watch, seen } = setUp(options)
      watched.replayed(snapshot(aJob(), 'new', options.history ? lines(1, 2) : undefined), 'websocket')
      watched.event(aLog(3), 2)
      expect(watched.history).toBe(true)
      const start = { ...aCompletion(2), data: { status: 'processing' } } as const
      const retried = { ...aCompletion(5), data: { attempt: 2 } } as const
      const kept = [start, retried, ...lines(11, 14)]
      watched.replayed(snapshot(aJob({ cursor: 'e1.14' }), 'trimmed', kept, 10), 'websocket')
      expect(watch.getSnapshot().events).toEqual([
        ...(options.history ? lines(1, 2) : []),
        aLog(3),
        retried,
        missed('trimmed', 4, 10),
        ...lines(11, 14),
      ])
      expect(watch.getSnapshot().missed).toEqual({ from: 4, to: 10, reason: 'trimmed' })
      expect(seen).toEqual([...(options.history ? [1, 2] : []), 3, 5, 10, 11, 12, 13, 14])
      watched.event(aLog(15), 14)
      expect(seen.at(-1)).toBe(15)
    },
  )

  it('is told of a history whose beginning is not kept, and of none that is whole but for merged progress', () => {
    const { watched, watch } = setUp({ history: true })
    watched.replayed(snapshot(aJob({ cursor: 'e1.9' }), 'new', [aLog(1), aLog(8), aLog(9)], 6), 'sse')
    expect(watch.getSnapshot().events).toEqual([aLog(1), missed('trimmed', 2, 6), aLog(8), aLog(9)])

    const whole = setUp({ history: true })
    whole.watched.replayed(
      snapshot(aJob({ cursor: 'e1.9' }), 'new', [aLog(1), aProgress(8), aLog(9)], 0),
      'sse',
    )
    expect(seqs(whole.watch.getSnapshot().events)).toEqual([1, 8, 9])
    expect(whole.watch.getSnapshot().missed).toBeNull()
  })

  it('is nothing to a watch that wants nothing from before', () => {
    const { watched, watch, seen } = setUp()
    watched.replayed(snapshot(aJob({ cursor: 'e1.900' }), 'new', undefined, 500), 'websocket')
    expect(watch.getSnapshot()).toMatchObject({ events: [], missed: null })
    expect(seen).toEqual([])
  })

  it('begins after the cursor of a watch', () => {
    const { watched, watch, seen } = setUp({ after: 'e1.4' })
    watched.replayed(snapshot(aJob({ cursor: 'e1.9' }), 'new', [aLog(1), ...lines(7, 9)], 6), 'sse')
    expect(watch.getSnapshot().events).toEqual([missed('trimmed', 5, 6), ...lines(7, 9)])
    expect(seen).toEqual([6, 7, 8, 9])
  })

  it('may be anything before a change of epoch', () => {
    const { watched, watch } = setUp({ history: true })
    watched.replayed(snapshot(aJob(), 'new', lines(1, 2), 0), 'websocket')
    watched.replayed(snapshot(aJob({ cursor: 'e2.9' }), 'epoch', [aLog(1), ...lines(7, 9)], 6), 'sse')
    expect(watch.getSnapshot().events).toEqual([missed('epoch', 1, 6), aLog(1), ...lines(7, 9)])

    const stranger = setUp({ after: 'e0.4' })
    stranger.watched.replayed(snapshot(aJob(), 'new', lines(1, 2), 0), 'websocket')
    stranger.watched.event(aLog(3), 2)
    expect(stranger.watch.getSnapshot().events).toEqual([missed('epoch', 1, 0), ...lines(1, 3)])
    expect(stranger.seen).toEqual([0, 1, 2, 3])
  })

  it('is one of the events of an iteration', async () => {
    const { watched, watch } = setUp({ history: true })
    const taken: WatchEvent[] = []
    const taking = (async () => {
      for await (const event of watch) taken.push(event)
    })()
    watched.replayed(snapshot(aJob({ cursor: 'e1.9' }), 'new', lines(7, 9), 6), 'sse')
    watched.event(aCompletion(10), 9)
    watched.ended('e1.10')
    await taking
    expect(taken).toEqual([missed('trimmed', 1, 6), ...lines(7, 9), aCompletion(10)])
  })
})

describe('a watch', () => {
  it('delivers what came after a cursor, of the history', () => {
    const { watched, watch, seen } = setUp({ after: 'e1.1' })
    watched.replayed(snapshot(aJob({ cursor: 'e1.3' }), 'new', [aLog(1), aLog(2), aLog(3)]), 'websocket')
    watched.event(aLog(4), 3)
    expect(seen).toEqual([2, 3, 4])
    expect(seqs(watch.getSnapshot().events)).toEqual([2, 3, 4])
  })

  it('is not given the past that another watch of the job asked for', async () => {
    const { watched, watch, seen } = setUp()
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    watched.event(aLog(3), 2)
    const past: number[] = []
    const other = new Watch(watched, { history: true, onEvent: ({ seq }) => past.push(seq) })
    expect(watched.wantHistory()).toBe(true)
    expect(watched.cursor).toBeNull()
    watched.replayed(snapshot(aJob({ cursor: 'e1.4' }), 'new', [1, 2, 3, 4].map(aLog)), 'websocket')
    watched.event(aLog(5), 4)
    expect(seen).toEqual([3, 4, 5])
    expect(seqs(watch.getSnapshot().events)).toEqual([3, 4, 5])
    expect(past).toEqual([1, 2, 3, 4, 5])
    expect(seqs(other.getSnapshot().events)).toEqual([1, 2, 3, 4, 5])
    const late: number[] = []
    new Watch(watched, { history: true, onEvent: ({ seq }) => late.push(seq) })
    await Promise.resolve()
    expect(late).toEqual([1, 2, 3, 4, 5])
  })

  it('is iterated from the past it asked for to the end', async () => {
    const { watched, watch } = setUp({ history: true })
    const taken: number[] = []
    const taking = (async () => {
      for await (const { seq } of watch) taken.push(seq)
    })()
    watched.replayed(snapshot(aJob(), 'new', [aLog(1), aLog(2)]), 'websocket')
    watched.event(aCompletion(3), 2)
    watched.ended('e1.3')
    await taking
    expect(taken).toEqual([1, 2, 3])
    const again: number[] = []
    for await (const { seq } of watch) again.push(seq)
    expect(again).toEqual([1, 2, 3])
  })

  it('merges the progress that an iteration has not come to yet', async () => {
    const { watched, watch } = setUp()
    const slow = watch[Symbol.asyncIterator]()
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    const first = slow.next()
    const events = [aProgress(3), aProgress(4), aProgress(5), aLog(6), aProgress(7), aProgress(8)]
    for (const event of events) watched.event(event, event.seq - 1)
    watched.event(aCompletion(9), 8)
    watched.ended('e1.9')
    const taken = [(await first).value]
    for (let next = await slow.next(); next.done !== true; next = await slow.next()) taken.push(next.value)
    expect(taken).toEqual([aProgress(3), aProgress(5), aLog(6), aProgress(8), aCompletion(9)])
  })

  it('is closed by an iteration that is left early, and with it the connection', async () => {
    const { watched, watch, released } = setUpUnheard()
    const leaving = (async () => {
      for await (const _ of watch) break
    })()
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    watched.event(aLog(3), 2)
    await leaving
    expect(released).toEqual([watched])
    await expect(watch.finished).rejects.toMatchObject({ code: 'closed' })
  })

  it.each<[who: string, listen: (watch: Watch) => unknown]>([
    ['a subscriber', (watch) => watch.subscribe(() => {})],
    ['another iteration', (watch) => watch[Symbol.asyncIterator]().next()],
    ['whoever waits for its end', (watch) => watch.finished],
  ])('goes on where %s listens as well', async (_, listen) => {
    const { watched, watch, released } = setUpUnheard()
    void listen(watch)
    const leaving = (async () => {
      for await (const _event of watch) break
    })()
    watched.replayed(snapshot(aJob(), 'new'), 'websocket')
    watched.event(aLog(3), 2)
    await leaving
    expect(released).toEqual([])
    watched.event(aCompletion(4), 3)
    watched.ended('e1.4')
    await expect(watch.finished).resolves.toMatchObject({ status: 'completed' })
  })

  it('throws out of an iteration what refused it, and ends one that was closed', async () => {
    const refused = setUp()
    const failing = (async () => {
      for await (const _ of refused.watch);
    })()
    refused.watched.refused(new JobcastError('removed', 'gone'))
    await expect(failing).rejects.toMatchObject({ code: 'removed' })

    const closed = setUp()
    const ending = (async () => {
      for await (const _ of closed.watch);
    })()
    closed.watch.close()
    await ending
    await expect(closed.watch.finished).rejects.toMatchObject({ code: 'closed' })
  })

  it('lets go of the job with its last watch, but not between two in one go', async () => {
    const { watched, watch, released } = setUp()
    watch.close()
    const next = new Watch(watched, {})
    await Promise.resolve()
    expect(released).toEqual([])
    next.close()
    await Promise.resolve()
    expect(released).toEqual([watched])
  })
})
