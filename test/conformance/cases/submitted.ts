import { describe, expect } from 'vitest'
import type { Engine, Submitted } from '../../../server/engine/engine.ts'
import { until } from '../../helpers/until.ts'
import { type EngineTest, type Kit, newJob } from '../harness.ts'

async function listen(engine: Engine) {
  const heard: Submitted[] = []
  const stop = await engine.feed.onSubmitted((submitted) => heard.push(submitted))
  const types = () => new Set(heard.flatMap((submitted) => submitted.types))
  return { heard, types, stop }
}

async function peerOf(kit: Kit): Promise<Engine> {
  return (await kit.store.peer?.()) ?? kit.raw
}

export function submittedCases(it: EngineTest): void {
  describe('feed.onSubmitted', () => {
    it('tells types and tags of jobs that were stored, also to other processes', async (kit) => {
      const { heard, stop } = await listen(await peerOf(kit))
      await kit.raw.submit({
        jobs: [
          newJob({ type: 'alpha', tags: ['red', 'with "quotes"\nand more'] }),
          newJob({ type: 'beta', tags: ['red'], when: { delayMs: 60_000 } }),
        ],
      })
      await until(() => heard.length > 0, { what: 'an announcement' })
      expect(heard.flatMap(({ types }) => types).sort()).toEqual(['alpha', 'beta'])
      expect(heard.flatMap(({ tags }) => tags).sort()).toEqual(['red', 'with "quotes"\nand more'])
      stop()
    })

    it('says so where there are too many tags to tell, or tells them all', async (kit) => {
      const { heard, stop } = await listen(kit.raw)
      const tags = Array.from({ length: 100 }, (_, n) => `${n}`.padEnd(64, 'x'))
      const jobs = tags.map((tag) => newJob({ tags: [tag] }))
      await kit.raw.submit({ jobs })
      await until(() => heard.length > 0, { what: 'an announcement' })
      for (const submitted of heard) expect(submitted.types).toEqual(['work'])
      const told = heard.map((submitted) => submitted.tags)
      if (!told.includes(null)) expect(told.flat().sort()).toEqual([...tags].sort())
      stop()
    })

    it('tells nothing of a replay, and nothing any more to who has left', async (kit) => {
      const first = await listen(kit.raw)
      const second = await listen(kit.raw)
      const idempotency = { scope: '', key: 'once', bodyHash: 'hash' }
      await kit.raw.submit({ jobs: [newJob({ type: 'once' })], idempotency })
      await until(() => first.types().has('once'), { what: 'the first submission' })
      await kit.raw.submit({ jobs: [newJob({ type: 'once' })], idempotency })
      second.stop()
      await kit.submit({ type: 'marker' })
      await until(() => first.types().has('marker'), { what: 'the marker' })
      expect(first.heard.map(({ types }) => types)).toEqual([['once'], ['marker']])
      expect(second.types().has('marker')).toBe(false)
      first.stop()
    })

    it('comes once the job is listed', async (kit) => {
      const listed: number[] = []
      const query = { types: ['seen'], statuses: [], tags: ['a'], limit: 10, page: null }
      const stop = await kit.raw.feed.onSubmitted(async () => {
        listed.push((await kit.raw.feed.list(query)).jobs.length)
      })
      await kit.submit({ type: 'seen', tags: ['a', 'b'] })
      await until(() => listed.length > 0, { what: 'a list' })
      expect(listed).toEqual([1])
      stop()
    })
  })
}
