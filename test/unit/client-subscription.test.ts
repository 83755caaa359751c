import { describe, expect, it } from 'vitest'
import { JobcastError } from '../../client/errors.ts'
import { Subscription } from '../../client/subscription.ts'
import { Watch, type WatchOptions } from '../../client/watch.ts'
import type { JobEvent } from '../../shared/event.ts'
import type { Job } from '../../shared/job.ts'
import { aCompletion, aJob, aLog, aProgress } from '../helpers/scripted-network.ts'

function setUp(options: WatchOptions = {}) {
  const history = options.history === true || options.after !== undefined
  const released: Subscription[] = []
  const subscription = new Subscription({
    jobId: 'j1',
    history,
    credential: () => undefined,
    renew: () => Promise.resolve(true),
    released: (one) => released.push(one),
  })
  const seen: number[] = []
  const watch = new Watch(subscription, {
    ...options,
    onEvent: (event) => {
      seen.push(event.seq)
      options.onEvent?.(event)
    },
  })
  return { subscription, watch, seen, released }
}

const snapshot = (job: Job, reason: 'new' | 'epoch' | 'trimmed' | 'ahead', events?: JobEvent[]) =>
  ({ mode: 'snapshot', reason, job, cursor: job.cursor, ...(events ? { events } : {}) }) as const

const seqs = (events: readonly JobEvent[]) => events.map(({ seq }) => seq)

describe('a subscription', () => {
  it('folds events after a snapshot, each once and in order', () => {
    const { subscription, watch, seen } = setUp()
    expect(watch.getSnapshot().phase).toBe('connecting')
    subscription.replayed(snapshot(aJob(), 'new'), 'websocket')
    expect(subscription.event(aLog(3), 2)).toBe(true)
    expect(subscription.event(aLog(3), 2)).toBe(true)
    expect(subscription.event(aLog(1), 0)).toBe(true)
    expect(subscription.event(aProgress(4, 40), 3)).toBe(true)
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
    const { subscription, seen } = setUp()
    subscription.replayed(snapshot(aJob(), 'new'), 'websocket')
    expect(subscription.event(aLog(4), 3)).toBe(false)
    expect(subscription.cursor).toBe('e1.2')
    expect(subscription.event(aProgress(5), 2)).toBe(true)
    expect(subscription.event(aLog(6), 5)).toBe(true)
    expect(seen).toEqual([5, 6])
  })

  it('applies of a resume only what is new, and takes its position', () => {
    const { subscription, seen } = setUp()
    subscription.replayed(snapshot(aJob(), 'new'), 'sse')
    subscription.event(aLog(3), null)
    subscription.replayed({ mode: 'resume', cursor: 'e1.7', events: [aLog(3), aLog(5)] }, 'websocket')
    expect(seen).toEqual([3, 5])
    expect(subscription.cursor).toBe('e1.7')
    expect(subscription.event(aLog(8), 7)).toBe(true)
  })

  it('ignores a snapshot of the same history that lags behind, and follows one of another', () => {
    const { subscription, watch, seen } = setUp({ history: true })
    subscription.replayed(snapshot(aJob(), 'new', [aLog(1), aLog(2)]), 'websocket')
    subscription.event(aLog(3), 2)
    subscription.replayed(snapshot(aJob(), 'trimmed', [aLog(1), aLog(2)]), 'sse')
    expect(subscription.cursor).toBe('e1.3')
    expect(watch.getSnapshot().transport).toBe('sse')
    subscription.replayed(
      snapshot(aJob({ cursor: 'e2.1', status: 'queued' }), 'epoch', [aLog(1)]),
      'websocket',
    )
    expect(watch.getSnapshot().job?.status).toBe('queued')
    expect(seqs(watch.getSnapshot().events)).toEqual([1])
    expect(seen).toEqual([1, 2, 3, 1])
  })

  it('goes back where the store says that the cursor is ahead of its history', () => {
    const { subscription } = setUp()
    subscription.replayed(snapshot(aJob({ cursor: 'e1.9' }), 'new'), 'websocket')
    subscription.replayed(snapshot(aJob({ cursor: 'e1.4' }), 'ahead'), 'websocket')
    expect(subscription.cursor).toBe('e1.4')
  })

  it('forgets the events of a lost history', () => {
    const { subscription, watch } = setUp()
    subscription.replayed(snapshot(aJob(), 'new'), 'websocket')
    subscription.event(aLog(3), 2)
    subscription.replayed(snapshot(aJob({ cursor: 'e2.5' }), 'epoch'), 'websocket')
    expect(watch.getSnapshot().events).toEqual([])
  })

  it('keeps one object until something changes', () => {
    const { subscription, watch } = setUp()
    subscription.replayed(snapshot(aJob(), 'new'), 'websocket')
    const state = watch.getSnapshot()
    subscription.event(aLog(1), 0)
    expect(watch.getSnapshot()).toBe(state)
    subscription.event(aLog(3), 2)
    expect(watch.getSnapshot()).not.toBe(state)
  })

  it('merges progress between other events and bounds the list', () => {
    const { subscription, watch } = setUp()
    subscription.replayed(snapshot(aJob({ cursor: 'e1.0' }), 'new'), 'websocket')
    for (let seq = 1; seq <= 3; seq++) subscription.event(aProgress(seq), seq - 1)
    subscription.event(aLog(4), 3)
    subscription.event(aProgress(5), 4)
    expect(seqs(watch.getSnapshot().events)).toEqual([3, 4, 5])
    const many = Array.from({ length: 3000 }, (_, index) => aLog(6 + index))
    subscription.replayed({ mode: 'resume', cursor: 'e1.3005', events: many }, 'websocket')
    expect(watch.getSnapshot().events).toHaveLength(2000)
    expect(watch.getSnapshot().events.at(-1)?.seq).toBe(3005)
  })

  it('keeps the changes of status where a flood of logs goes over the bound', () => {
    const { subscription, watch } = setUp({ history: true })
    const claim = { ...aCompletion(2), data: { status: 'processing' } } as const
    subscription.replayed(snapshot(aJob(), 'new', [claim]), 'websocket')
    for (let seq = 3; seq < 2103; seq++) subscription.event(aLog(seq), seq - 1)
    expect(seqs(watch.getSnapshot().events).slice(0, 2)).toEqual([2, 104])
  })

  it('ends with the terminal job, and not before its terminal event', async () => {
    const { subscription, watch, released } = setUp()
    subscription.replayed(snapshot(aJob(), 'new'), 'websocket')
    expect(subscription.ended('e1.3')).toBe(false)
    subscription.event(aCompletion(3), 2)
    expect(subscription.ended('e1.3')).toBe(true)
    await expect(watch.finished).resolves.toMatchObject({ status: 'completed', result: { steps: 3 } })
    expect(watch.getSnapshot().phase).toBe('ended')
    expect(released).toEqual([subscription])
    subscription.interrupted()
    subscription.event(aLog(4), 3)
    expect(watch.getSnapshot()).toMatchObject({ phase: 'ended', job: { cursor: 'e1.3' } })
  })

  it('rejects what will never finish', async () => {
    const { subscription, watch } = setUp()
    subscription.refused(new JobcastError('not_found', 'no such job'))
    await expect(watch.finished).rejects.toMatchObject({ code: 'not_found' })
    expect(watch.getSnapshot()).toMatchObject({ phase: 'refused', error: { code: 'not_found' } })
  })

  it('asks for a new credential once between two successes', async () => {
    const { subscription } = setUp()
    expect(await subscription.renew()).toBe(true)
    expect(await subscription.renew()).toBe(false)
    subscription.replayed(snapshot(aJob(), 'new'), 'websocket')
    expect(await subscription.renew()).toBe(true)
  })
})

describe('a watch', () => {
  it('delivers what came after a cursor, of the history', () => {
    const { subscription, watch, seen } = setUp({ after: 'e1.1' })
    subscription.replayed(snapshot(aJob({ cursor: 'e1.3' }), 'new', [aLog(1), aLog(2), aLog(3)]), 'websocket')
    subscription.event(aLog(4), 3)
    expect(seen).toEqual([2, 3, 4])
    expect(seqs(watch.getSnapshot().events)).toEqual([2, 3, 4])
  })

  it('is not given the past that another watch of the job asked for', async () => {
    const { subscription, watch, seen } = setUp()
    subscription.replayed(snapshot(aJob(), 'new'), 'websocket')
    subscription.event(aLog(3), 2)
    const past: number[] = []
    const other = new Watch(subscription, { history: true, onEvent: ({ seq }) => past.push(seq) })
    expect(subscription.wantHistory()).toBe(true)
    expect(subscription.cursor).toBeNull()
    subscription.replayed(snapshot(aJob({ cursor: 'e1.4' }), 'new', [1, 2, 3, 4].map(aLog)), 'websocket')
    subscription.event(aLog(5), 4)
    expect(seen).toEqual([3, 4, 5])
    expect(seqs(watch.getSnapshot().events)).toEqual([3, 4, 5])
    expect(past).toEqual([1, 2, 3, 4, 5])
    expect(seqs(other.getSnapshot().events)).toEqual([1, 2, 3, 4, 5])
    const late: number[] = []
    new Watch(subscription, { history: true, onEvent: ({ seq }) => late.push(seq) })
    await Promise.resolve()
    expect(late).toEqual([1, 2, 3, 4, 5])
  })

  it('is iterated from the past it asked for to the end', async () => {
    const { subscription, watch } = setUp({ history: true })
    const taken: number[] = []
    const taking = (async () => {
      for await (const { seq } of watch) taken.push(seq)
    })()
    subscription.replayed(snapshot(aJob(), 'new', [aLog(1), aLog(2)]), 'websocket')
    subscription.event(aCompletion(3), 2)
    subscription.ended('e1.3')
    await taking
    expect(taken).toEqual([1, 2, 3])
    const again: number[] = []
    for await (const { seq } of watch) again.push(seq)
    expect(again).toEqual([1, 2, 3])
  })

  it('throws out of an iteration what refused it, and ends one that was closed', async () => {
    const refused = setUp()
    const failing = (async () => {
      for await (const _ of refused.watch);
    })()
    refused.subscription.refused(new JobcastError('removed', 'gone'))
    await expect(failing).rejects.toMatchObject({ code: 'removed' })

    const closed = setUp()
    const ending = (async () => {
      for await (const _ of closed.watch);
    })()
    closed.watch.close()
    await ending
    await expect(closed.watch.finished).rejects.toMatchObject({ code: 'closed' })
  })

  it('lets go of the subscription with its last watch, but not between two in one go', async () => {
    const { subscription, watch, released } = setUp()
    watch.close()
    const next = new Watch(subscription, {})
    await Promise.resolve()
    expect(released).toEqual([])
    next.close()
    await Promise.resolve()
    expect(released).toEqual([subscription])
  })
})
