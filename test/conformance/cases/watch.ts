import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { Engine, Feed, FeedMessage, RunEvent } from '../../../server/engine/engine.ts'
import type { JobEvent } from '../../../shared/event.ts'
import { until } from '../../helpers/until.ts'
import { type EngineTest, type Kit, present } from '../harness.ts'

const chunk = (data: string | number): RunEvent => ({ kind: 'chunk', data })

/** Collects what one watcher of a job is told, and reads what is too large to be told. */
class Watcher {
  readonly messages: FeedMessage[] = []
  stop: () => void = () => undefined
  readonly #feed: Feed
  readonly #jobId: string

  private constructor(feed: Feed, jobId: string) {
    this.#feed = feed
    this.#jobId = jobId
  }

  static async of(feed: Feed, jobId: string): Promise<Watcher> {
    const watcher = new Watcher(feed, jobId)
    watcher.stop = await feed.watch(jobId, (message) => watcher.messages.push(message))
    return watcher
  }

  get seqs(): number[] {
    return this.messages.flatMap((message) => {
      if (message.kind === 'event') return [message.event.seq]
      return message.kind === 'advance' ? [message.seq] : []
    })
  }

  get reasons(): string[] {
    return this.messages.flatMap((message) => (message.kind === 'gone' ? [message.reason] : []))
  }

  async reached(seq: number): Promise<void> {
    await until(() => (this.seqs.at(-1) ?? 0) >= seq, { what: `event ${seq}`, intervalMs: 2 })
  }

  /** Every event, those that were only announced being read, in the order in which they became known. */
  async events(): Promise<JobEvent[]> {
    const events: JobEvent[] = []
    for (const message of this.messages) {
      const last = events.at(-1)?.seq ?? 0
      if (message.kind === 'event' && message.event.seq > last) events.push(plain(message.event))
      if (message.kind !== 'advance') continue
      const [read] = await this.#feed.read([
        { jobId: this.#jobId, after: { epoch: this.#feed.epoch, seq: last }, history: false, withJob: false },
      ])
      events.push(...present(read, 'read').events.filter(({ seq }) => seq <= message.seq))
    }
    return events
  }
}

/** As it is sent: data that is read only when it is asked for would not be compared. */
function plain(event: JobEvent): JobEvent {
  return JSON.parse(JSON.stringify(event))
}

async function peerOf(kit: Kit): Promise<Engine> {
  return (await kit.store.peer?.()) ?? kit.raw
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

export function watchCases(it: EngineTest): void {
  describe('feed.watch', () => {
    it('tells every event once, in order, and exactly as it is retained', async (kit) => {
      const peer = await peerOf(kit)
      const jobId = await kit.submit({ policy: { maxStalls: 1 } })
      const [near, far] = [await Watcher.of(kit.raw.feed, jobId), await Watcher.of(peer.feed, jobId)]
      const first = await kit.claimOne()
      await kit.report(first, chunk(1), { kind: 'log', data: { level: 'warn', line: 'é\u0000💥' } })
      await kit.settle(first, { kind: 'retry', error: 'x', errorCode: 'timeout', delayMs: 0 }, [chunk(2)])
      await kit.promoted()
      await kit.claimOne({ leaseMs: 1 })
      await kit.rescued()
      await kit.settle(await kit.claimOne(), { kind: 'released' })
      await kit.engine.cancel(jobId)
      await kit.engine.retry(jobId)
      const last = await kit.claimOne()
      await kit.report(last, { kind: 'progress', data: { percent: 10, note: 'n' } })
      await kit.engine.cancel(jobId)
      await kit.settle(last, { kind: 'completed', result: { a: [] } })
      const all = await kit.events(jobId)
      const top = present(all.at(-1), 'event').seq
      for (const watcher of [near, far]) {
        await watcher.reached(top)
        expect(watcher.seqs).toEqual(range(2, top))
        expect(await watcher.events()).toEqual(all.filter(({ seq }) => seq > 1))
      }
    })

    it('misses nothing that happens after it resolved', async (kit) => {
      const peer = await peerOf(kit)
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      for (let round = 1; round <= 30; round++) {
        const watcher = await Watcher.of(peer.feed, jobId)
        await kit.raw.report([{ ...run, events: [chunk(round)] }])
        await watcher.reached(2 + round)
        expect(watcher.seqs).toEqual([2 + round])
        watcher.stop()
      }
    })

    it('keeps many fast reports in order', async (kit) => {
      const peer = await peerOf(kit)
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      const watcher = await Watcher.of(peer.feed, jobId)
      await Promise.all(
        range(1, 50).map((n) =>
          kit.raw.report([{ ...run, events: range(1, 10).map((m) => chunk(n * 100 + m)) }]),
        ),
      )
      await watcher.reached(502)
      expect(watcher.seqs).toEqual(range(3, 502))
      expect(await watcher.events()).toEqual((await kit.events(jobId)).slice(2))
    })

    it('tells each of several watchers, also of several jobs, until it stops', async (kit) => {
      const [one, two] = [await kit.submit(), await kit.submit()]
      const first = await Watcher.of(kit.raw.feed, one)
      const second = await Watcher.of(kit.raw.feed, one)
      const other = await Watcher.of(kit.raw.feed, two)
      await kit.engine.cancel(one)
      await kit.engine.cancel(two)
      for (const watcher of [first, second, other]) await watcher.reached(2)
      first.stop()
      first.stop()
      await kit.engine.retry(one)
      await second.reached(3)
      expect([first.seqs, second.seqs, other.seqs]).toEqual([[2], [2, 3], [2]])

      // Watched again right after nobody did.
      second.stop()
      const third = await Watcher.of(kit.raw.feed, one)
      await kit.engine.cancel(one)
      await third.reached(4)
      expect([second.seqs, third.seqs]).toEqual([[2, 3], [4]])
    })

    it('may watch, stop and watch the same job at once', async (kit) => {
      const jobId = await kit.submit()
      const watchers = await Promise.all(range(1, 20).map(() => Watcher.of(kit.raw.feed, jobId)))
      for (const [index, watcher] of watchers.entries()) if (index % 2) watcher.stop()
      const [again] = await Promise.all([Watcher.of(kit.raw.feed, jobId)])
      await kit.engine.cancel(jobId)
      for (const [index, watcher] of watchers.entries()) if (index % 2 === 0) await watcher.reached(2)
      await again?.reached(2)
      await pause(30)
      expect(watchers.map(({ seqs }) => seqs)).toEqual(watchers.map((_, index) => (index % 2 ? [] : [2])))
    })

    it('announces what is too large to tell, and it can be read', async (kit) => {
      const peer = await peerOf(kit)
      const jobId = await kit.submit()
      const watcher = await Watcher.of(peer.feed, jobId)
      const run = await kit.claimOne()
      const large = 'x'.repeat(250_000)
      await kit.report(run, chunk(large), chunk(1), chunk(large), chunk(2))
      await kit.settle(run, { kind: 'completed', result: 'y'.repeat(3_000_000) })
      await watcher.reached(7)
      expect(await watcher.events()).toEqual((await kit.events(jobId)).slice(1))
    })

    it('says when a job was removed', async (kit) => {
      const peer = await peerOf(kit)
      const jobId = await kit.submit()
      const [near, far] = [await Watcher.of(kit.raw.feed, jobId), await Watcher.of(peer.feed, jobId)]
      await kit.engine.cancel(jobId)
      await kit.engine.remove(jobId)
      for (const watcher of [near, far]) {
        await until(() => watcher.reasons.length > 0, { what: 'the end of the job' })
        expect(watcher.messages.at(-1)).toEqual({ kind: 'gone', reason: 'removed' })
        expect(watcher.seqs).toEqual([2])
      }
    })

    it('says when a job expired', async (kit) => {
      const jobId = await kit.submit({ policy: { retainMs: 500 } })
      const watcher = await Watcher.of(kit.raw.feed, jobId)
      await kit.engine.cancel(jobId)
      await until(async () => (await kit.engine.prune({ limit: 1 })).pruned === 1, {
        what: 'the job to expire',
      })
      await until(() => watcher.reasons.length > 0, { what: 'the end of the job' })
      expect(watcher.messages.at(-1)).toEqual({ kind: 'gone', reason: 'expired' })
    })

    it('tells of resets whoever listens, until it is told to stop', async (kit) => {
      let [left, stayed] = [0, 0]
      const stop = kit.raw.feed.onReset(() => {
        left += 1
      })
      kit.raw.feed.onReset(() => {
        stayed += 1
      })
      /** What whoever stays is told of one reset, where there can be one. */
      const reset = async () => {
        const before = stayed
        if (await kit.store.interrupt()) await until(() => stayed > before, { what: 'the reset' })
        return stayed - before
      }
      const told = await reset()
      expect(left).toBe(told)
      stop()
      stop()
      expect(await reset()).toBe(told)
      expect(left).toBe(told)
    })
  })
}
