import { describe, expect, it } from 'vitest'
import { Assignments } from '../../client/assignments.ts'
import type { CarriedJob, Link } from '../../client/transports/link.ts'

/** A link that notes what it carries. */
function aLink(capacity = Number.POSITIVE_INFINITY) {
  const carried = new Set<CarriedJob>()
  const calls = { revived: 0, closed: 0, carried: 0 }
  const link: Link = {
    transport: 'websocket',
    phase: 'open',
    capacity,
    carry: (job) => {
      calls.carried += 1
      carried.add(job)
    },
    carries: (job) => carried.has(job),
    drop: (job) => void carried.delete(job),
    credentialChanged: () => {},
    revive: () => {
      calls.revived += 1
    },
    close: () => {
      calls.closed += 1
      carried.clear()
    },
  }
  return { link, calls, ids: () => [...carried].map(({ jobId }) => jobId) }
}

function aJob(jobId: string): CarriedJob {
  return {
    jobId,
    cursor: null,
    queue: null,
    history: false,
    credential: undefined,
    replayed: () => {},
    event: () => true,
    placed: () => {},
    ended: () => true,
    refused: () => {},
    interrupted: () => {},
    restored: () => {},
    renew: () => Promise.resolve(false),
  }
}

function setUp({ canSpare = true } = {}) {
  const [a, b, c] = [aJob('a'), aJob('b'), aJob('c')] as const
  const jobs = new Set([a, b, c])
  const spares: ReturnType<typeof aLink>[] = []
  const assignments = new Assignments(
    jobs,
    () => canSpare,
    () => {
      const spare = aLink()
      spares.push(spare)
      return spare.link
    },
  )
  const drop = (job: CarriedJob, link: Link) => {
    jobs.delete(job)
    link.drop(job)
    assignments.drop(job, link)
  }
  return { a, b, c, jobs, spares, assignments, drop }
}

describe('which link carries a job', () => {
  it('is the one at work, as far as it has room, and a spare one for the others', () => {
    const { a, c, spares, assignments } = setUp()
    const work = aLink(2)
    assignments.assign(work.link)
    expect([work.ids(), spares.map(({ ids }) => ids())]).toEqual([['a', 'b'], [['c']]])
    expect(assignments.linkOf(a)).toBe(work.link)
    expect(assignments.linkOf(c)).toBe(spares[0]?.link)
    assignments.assign(work.link)
    expect(work.calls.carried).toBe(2)
    assignments.revive()
    expect([spares[0]?.calls.revived, work.calls.revived]).toEqual([1, 0])
  })

  it('is the one at work in any case, where nothing could carry the others', () => {
    const { spares, assignments } = setUp({ canSpare: false })
    const work = aLink(2)
    assignments.assign(work.link)
    expect([work.ids(), spares]).toEqual([['a', 'b', 'c'], []])
  })

  it('moves up when there is room again, and a spare one without jobs is closed', () => {
    const { a, spares, assignments, drop } = setUp()
    const work = aLink(2)
    assignments.assign(work.link)
    drop(a, work.link)
    expect([work.ids(), spares[0]?.ids(), spares[0]?.calls.closed]).toEqual([['b', 'c'], [], 1])
    assignments.revive()
    expect(spares[0]?.calls.revived).toBe(0)
  })

  it('is left by what another link at work takes from the spare one', () => {
    const { spares, assignments } = setUp()
    assignments.assign(aLink(1).link)
    expect(spares[0]?.ids()).toEqual(['b', 'c'])
    assignments.release()
    const next = aLink(2)
    assignments.assign(next.link)
    expect([next.ids(), spares[0]?.ids(), spares.length]).toEqual([['a', 'b'], ['c'], 1])
  })

  it('is the next one at once for what that has subscribed on trial', () => {
    const { a, b, c, spares, assignments } = setUp()
    const [old, next] = [aLink(2), aLink(1)]
    assignments.assign(old.link)
    assignments.fill(next.link)
    expect(next.ids()).toEqual(['a'])
    const taken = assignments.relieve(old.link, next.link)
    expect([...taken]).toEqual([a])
    expect(assignments.linkOf(a)).toBe(next.link)
    assignments.assign(next.link)
    expect([old.ids(), next.calls.carried]).toEqual([['a'], 1])
    expect([b, c].map((job) => assignments.linkOf(job))).toEqual([spares[0]?.link, spares[0]?.link])
  })

  it('is not told again of what it has subscribed on trial while a spare one carried it', () => {
    const { spares, assignments } = setUp()
    const [old, next] = [aLink(1), aLink()]
    assignments.assign(old.link)
    assignments.fill(next.link)
    assignments.relieve(old.link, next.link)
    assignments.assign(next.link)
    expect([next.ids(), next.calls.carried]).toEqual([['a', 'b', 'c'], 3])
    expect(spares[0]?.calls.closed).toBe(1)
  })

  it('is none once all links are gone', () => {
    const { jobs, spares, assignments } = setUp()
    assignments.assign(aLink(1).link)
    assignments.clear()
    expect([...jobs].map((job) => assignments.linkOf(job))).toEqual([undefined, undefined, undefined])
    expect(spares[0]?.calls.closed).toBe(1)
  })
})
