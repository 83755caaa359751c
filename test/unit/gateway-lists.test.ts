import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ListQuery } from '../../server/engine/engine.ts'
import { decodeSubmitted, encodeSubmitted } from '../../server/engine/redis/messages.ts'
import {
  filterOf,
  keyOf,
  mayMatch,
  type NewestFilter,
  readNewest,
} from '../../server/gateway/lists/list-filter.ts'
import { Throttle } from '../../server/gateway/lists/throttle.ts'
import { changesFrame } from '../../server/gateway/transports/websocket/server-frames.ts'
import type { Job } from '../../shared/job.ts'
import { ServerFrame } from '../../shared/protocol.ts'
import { aJob } from '../helpers/scripted-network.ts'

/** Of jobs with higher numbers, later ones. */
function jobOf(n: number): Job {
  return aJob({
    ...{ jobId: `job-${n}`, status: 'queued', payload: { n }, startedAt: null },
    createdAt: new Date(n).toISOString(),
    cursor: 'e.1',
  })
}

describe('throttle', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  /** Runs of a throttle of 300 ms, each of which takes `takesMs`, by the time at which they began. */
  function throttled(takesMs: number) {
    const runs: number[] = []
    const beganAt = performance.now()
    const throttle = new Throttle(300, async () => {
      runs.push(performance.now() - beganAt)
      if (takesMs > 0) await new Promise((resolve) => setTimeout(resolve, takesMs))
    })
    return { throttle, runs }
  }

  test('runs soon, once for all that is asked for, and not again within its interval', async () => {
    const { throttle, runs } = throttled(0)
    for (let n = 0; n < 100; n++) {
      throttle.request()
      await vi.advanceTimersByTimeAsync(10)
    }
    expect(runs).toEqual([10, 310, 610, 910])
    await vi.advanceTimersByTimeAsync(10_000)
    // The last time that it was asked for.
    expect(runs.slice(4)).toEqual([1210])
    throttle.request()
    await vi.advanceTimersByTimeAsync(50)
    expect(runs).toHaveLength(6)
  })

  test('runs once more for what was asked for during a run, never beside it', async () => {
    const { throttle, runs } = throttled(1000)
    throttle.request()
    await vi.advanceTimersByTimeAsync(500)
    throttle.request()
    throttle.request()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(runs).toHaveLength(2)
    expect((runs[1] ?? 0) - (runs[0] ?? 0)).toBeGreaterThanOrEqual(1300)
  })

  test('runs no more once it is stopped, whenever that is', async () => {
    for (const at of [0, 5, 500]) {
      const { throttle, runs } = throttled(1000)
      throttle.request()
      await vi.advanceTimersByTimeAsync(at)
      throttle.request()
      throttle.stop()
      throttle.request()
      await vi.advanceTimersByTimeAsync(10_000)
      expect(runs.length).toBe(at === 500 ? 1 : 0)
    }
  })
})

describe('filters', () => {
  test('are the same whatever the order of types and tags, and however they are written', () => {
    const one = filterOf({ op: 'watch', list: 'a', type: ['b', 'a', 'b'], tag: 'x' })
    const other = filterOf({ op: 'watch', list: 'b', type: ['a', 'b'], tag: ['x'], limit: 50 })
    expect(keyOf(one)).toBe(keyOf(other))
    expect(keyOf(one)).not.toBe(keyOf(filterOf({ op: 'watch', list: 'a', type: 'a', tag: 'x' })))
    const given = filterOf({ op: 'watch', list: 'a', jobIds: ['2', '1', '2'] })
    expect(given).toEqual({ kind: 'jobs', jobIds: ['2', '1'] })
  })

  test('may match what was submitted: any type, all tags', () => {
    const filter: NewestFilter = { kind: 'newest', types: ['a', 'b'], tags: ['x', 'y'], limit: 1 }
    expect(mayMatch(filter, { types: ['b'], tags: ['y', 'x', 'z'] })).toBe(true)
    expect(mayMatch(filter, { types: ['c'], tags: ['x', 'y'] })).toBe(false)
    expect(mayMatch(filter, { types: ['a'], tags: ['x'] })).toBe(false)
    expect(mayMatch(filter, { types: ['a'], tags: null })).toBe(true)
    expect(mayMatch({ ...filter, types: [], tags: [] }, { types: ['c'], tags: [] })).toBe(true)
  })
})

describe('reading the newest', () => {
  /** A store of so many jobs, whose calls return at most `most`. */
  function storeOf(amount: number, most = 200) {
    const queries: ListQuery[] = []
    const list = async (query: ListQuery) => {
      queries.push(query)
      const from = amount - Number(query.page ?? 0)
      const left = from - Number(query.since ?? 0)
      const count = Math.min(query.limit, most, left)
      const jobs = Array.from({ length: count }, (_, index) => jobOf(from - index))
      const nextPage = left > count ? String(amount - from + count) : null
      return { jobs, nextPage, newest: String(amount) }
    }
    return { queries, list }
  }
  const filter: NewestFilter = { kind: 'newest', types: [], tags: [], limit: 50 }

  test('goes on until there are enough, or no more', async () => {
    const few = storeOf(30, 20)
    const all = await readNewest(few.list, filter, { since: null, withinMs: 1000 })
    expect(all.jobs).toHaveLength(30)
    expect(all.newest).toBe('30')
    const many = storeOf(500, 20)
    const { jobs } = await readNewest(many.list, filter, { since: null, withinMs: 1000 })
    expect(jobs).toHaveLength(50)
    expect(jobs[0]).not.toHaveProperty('payload')
    expect(many.queries.map(({ limit }) => limit)).toEqual([50, 30, 10])
  })

  test('takes only what came since the look before', async () => {
    const { queries, list } = storeOf(500)
    const { jobs, newest } = await readNewest(list, filter, { since: '498', withinMs: 1000 })
    expect(jobs.map(({ jobId }) => jobId)).toEqual(['job-500', 'job-499'])
    expect(newest).toBe('500')
    expect(queries).toHaveLength(1)
  })

  test('gives up when its time is over', async () => {
    const { list, queries } = storeOf(500, 1)
    const { jobs } = await readNewest(list, filter, { since: null, withinMs: 0 })
    expect(jobs).toHaveLength(1)
    expect(queries).toHaveLength(1)
  })
})

test('changes are one frame for all who call the list the same', () => {
  const { payload: _payload, result: _result, ...summary } = jobOf(1)
  const changes = { jobs: [summary], gone: ['job-0'] }
  const frame = changesFrame('a', changes)
  const text = changesFrame('a "b"', changes).toString()
  expect(changesFrame('a', changes)).toBe(frame)
  expect(changesFrame('a', { ...changes })).not.toBe(frame)
  const parsed = ServerFrame.parse(JSON.parse(text.slice(text.indexOf('{'))))
  expect(parsed).toEqual({ op: 'changes', list: 'a "b"', jobs: [summary], gone: ['job-0'] })
})

test('an announcement has types and tags, each once, and says where there are many', () => {
  const roundTrip = (jobs: { type: string; tags: string[] }[]) => decodeSubmitted(encodeSubmitted(jobs))
  expect(roundTrip([{ type: 'a', tags: [] }])).toEqual({ types: ['a'], tags: [] })
  const tagged = { type: 'b', tags: ['line\nbreak', '*', ' '] }
  expect(roundTrip([{ type: 'a', tags: ['*'] }, tagged, tagged])).toEqual({
    types: ['a', 'b'],
    tags: ['*', 'line\nbreak', ' '],
  })
  const many = Array.from({ length: 100 }, (_, n) => `${n}`.padEnd(64, '-'))
  expect(roundTrip([{ type: 'a', tags: many }])).toEqual({ types: ['a'], tags: null })
})
