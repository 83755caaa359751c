import { describe, expect } from 'vitest'
import type { Presence, TypeRegistration } from '../../../server/engine/engine.ts'
import { Unavailable } from '../../../server/engine/errors.ts'
import { until } from '../../helpers/until.ts'
import { DEFAULT_POLICY, type EngineTest, newJob } from '../harness.ts'

const NONE = { scheduled: 0, queued: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 }

const registration = (type: string, over: Partial<TypeRegistration> = {}): TypeRegistration => ({
  type,
  policy: DEFAULT_POLICY,
  payloadSchema: null,
  ...over,
})

const byName = <T extends { type: string }>(list: readonly T[]) =>
  [...list].sort((a, b) => a.type.localeCompare(b.type))
const byId = (list: readonly Presence[]) => [...list].sort((a, b) => a.id.localeCompare(b.id))

export function registryCases(it: EngineTest): void {
  describe('types', () => {
    it('are those that were registered, submitted to, or paused', async ({ raw, engine }) => {
      expect(await raw.types()).toEqual([])
      const schema = { type: 'object', properties: { a: { type: 'string' } }, required: [] }
      const known = registration('known', {
        payloadSchema: schema,
        resultSchema: { type: 'number' },
        policy: { ...DEFAULT_POLICY, priority: 5 },
      })
      await raw.registerTypes([known, registration('plain'), registration('untold', { resultSchema: null })])
      await engine.submit({ jobs: [newJob({ type: 'used' })] })
      await raw.pause('unheard-of')
      expect(byName(await raw.types())).toEqual([
        { type: 'known', counts: NONE, paused: false, registration: known },
        { type: 'plain', counts: NONE, paused: false, registration: registration('plain') },
        { type: 'unheard-of', counts: NONE, paused: true, registration: null },
        {
          type: 'untold',
          counts: NONE,
          paused: false,
          registration: registration('untold', { resultSchema: null }),
        },
        { type: 'used', counts: { ...NONE, queued: 1 }, paused: false, registration: null },
      ])
    })

    it('can be registered again, and what is said last counts', async ({ raw }) => {
      await raw.registerTypes([registration('a'), registration('b')])
      const changed = registration('a', { policy: { ...DEFAULT_POLICY, maxAttempts: 9 }, payloadSchema: {} })
      await raw.registerTypes([changed])
      await raw.registerTypes([])
      expect(byName(await raw.types()).map((state) => state.registration)).toEqual([
        changed,
        registration('b'),
      ])
    })

    it('keep jobs, counts and pause when they are registered later', async ({ raw, engine }) => {
      await engine.submit({ jobs: [newJob({ type: 'a' })] })
      await raw.pause('a')
      await raw.pause('a')
      await raw.registerTypes([registration('a')])
      expect(await raw.types()).toEqual([
        { type: 'a', counts: { ...NONE, queued: 1 }, paused: true, registration: registration('a') },
      ])
      await raw.resume('a')
      await raw.resume('a')
      await raw.resume('never-seen-or-only-resumed')
      expect((await raw.types()).find(({ type }) => type === 'a')?.paused).toBe(false)
    })

    it('say whether a job of any is queued', async (kit) => {
      await kit.raw.registerTypes(Array.from({ length: 1500 }, (_, n) => registration(`t${n}`)))
      expect(await kit.raw.hasQueued()).toBe(false)
      await kit.submit({ type: 't1499', when: { delayMs: 60_000 } })
      expect(await kit.raw.hasQueued()).toBe(false)
      const jobId = await kit.submit({ type: 't1499' })
      await kit.submit()
      expect(await kit.raw.hasQueued()).toBe(true)
      await kit.claimOne()
      expect(await kit.raw.hasQueued()).toBe(true)
      await kit.engine.cancel(jobId)
      expect(await kit.raw.hasQueued()).toBe(false)
    })

    it('outlive their jobs', async (kit) => {
      const jobId = await kit.submit()
      await kit.engine.cancel(jobId)
      await kit.engine.remove(jobId)
      expect(await kit.raw.types()).toEqual([
        { type: 'work', counts: NONE, paused: false, registration: null },
      ])
    })

    it('are the same for every process, and for the next one', async ({ raw, store }) => {
      await raw.registerTypes([registration('a')])
      await raw.pause('b')
      await raw.submit({ jobs: [newJob({ type: 'c' })] })
      const before = byName(await raw.types())
      const peer = (await store.peer?.()) ?? raw
      expect(byName(await peer.types())).toEqual(before)
      const next = await store.reopen()
      expect(byName(await next.types())).toEqual(before)
    })
  })

  describe('presence', () => {
    const worker: Presence = { id: 'w1', role: 'worker', info: { host: 'a', nested: [1, { b: null }] } }
    const gateway: Presence = { id: 'g1', role: 'gateway', info: [] }

    it('is announced, replaced and withdrawn', async ({ raw, store }) => {
      const peer = (await store.peer?.()) ?? raw
      expect(await raw.presences()).toEqual([])
      await raw.announce({ ...worker, ttlMs: 60_000 })
      await peer.announce({ ...gateway, ttlMs: 60_000 })
      expect(byId(await peer.presences())).toEqual([gateway, worker])
      expect(byId(await raw.presences())).toEqual([gateway, worker])
      await raw.announce({ ...worker, info: 'new', ttlMs: 60_000 })
      expect(byId(await peer.presences())).toEqual([gateway, { ...worker, info: 'new' }])
      await raw.withdraw('w1')
      await raw.withdraw('nobody')
      expect(await peer.presences()).toEqual([gateway])
    })

    it('ends by itself unless it is announced again', async ({ raw }) => {
      await raw.announce({ ...worker, ttlMs: 80 })
      await raw.announce({ ...gateway, ttlMs: 60_000 })
      await raw.announce({ ...worker, id: 'w2', ttlMs: 80 })
      await raw.announce({ ...worker, id: 'w2', ttlMs: 60_000 })
      expect((await raw.presences()).map(({ id }) => id)).toContain('w2')
      await until(async () => (await raw.presences()).length === 2, { what: 'the presence to end' })
      expect(byId(await raw.presences()).map(({ id }) => id)).toEqual(['g1', 'w2'])
    })
  })

  describe('secret', () => {
    it('is what the first process proposed, for all of them', async ({ raw, store }) => {
      const peer = (await store.peer?.()) ?? raw
      const proposals = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 ? raw : peer).secret('tokens', `candidate-${n}`)),
      )
      expect(new Set(proposals).size).toBe(1)
      expect(proposals[0]).toMatch(/^candidate-\d+$/)
      expect(await raw.secret('other', 'another')).toBe('another')
      expect(await raw.secret('other', 'late')).toBe('another')
      const next = await store.reopen()
      expect(await next.secret('tokens', 'too late')).toBe(proposals[0])
    })
  })

  describe('start and stop', () => {
    it('a started engine takes writes; a stopped one says that it cannot, and does not hang', async (kit) => {
      const stopped = kit.raw
      await stopped.check()
      const jobId = await kit.submit()
      const next = await kit.store.reopen()
      await stopped.stop()
      await expect(stopped.check()).rejects.toBeInstanceOf(Unavailable)
      await expect(stopped.submit({ jobs: [newJob()] })).rejects.toBeInstanceOf(Unavailable)
      await expect(stopped.get(jobId)).rejects.toBeInstanceOf(Unavailable)
      await expect(stopped.feed.watch(jobId, () => undefined)).rejects.toBeInstanceOf(Unavailable)
      expect((await next.get(jobId))?.status).toBe('queued')
    })
  })
}
