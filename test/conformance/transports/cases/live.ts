import { describe, expect } from 'vitest'
import type { FeedMessage } from '../../../../server/engine/engine.ts'
import { breachesOfOrder } from '../../../helpers/subscriber/sightings.ts'
import { Subscriber } from '../../../helpers/subscriber/subscriber.ts'
import { until } from '../../../helpers/until.ts'
import { chunk, cursorAt, expectWhole, lasting, line, percent, type TransportTest } from '../harness.ts'

/** While the job runs. */
export function liveCases(it: TransportTest): void {
  describe('while the job runs', () => {
    it('every event comes in order, once, and the end behind it', async (kit) => {
      const jobId = await kit.gateway.submit()
      const watch = kit.watch(jobId)
      await watch.next('snapshot')
      const run = await kit.gateway.claim()
      await run.report(percent(10), line('halfway'), chunk(1))
      await run.settle({ kind: 'completed', result: { ok: true } })
      await watch.next('end')
      const { cursor, status } = await kit.job(jobId)
      expect(watch.told.find(({ told }) => told === 'end')).toEqual({ told: 'end', cursor, status })
      expect(lasting(watch.events).map(({ seq, kind }) => `${seq} ${kind}`)).toEqual([
        '2 status',
        '4 log',
        '5 chunk',
        '6 status',
      ])
      await expectWhole(kit, watch)
    })

    it('a burst is whole, whenever one begins to watch', async (kit) => {
      const run = await kit.gateway.run()
      const watches = [kit.watch(run.jobId)]
      for (let report = 1; report <= 40; report++) {
        await run.report(...Array.from({ length: 20 }, (_, number) => line(`${report}.${number}`)))
        if (report % 8 === 0)
          watches.push(kit.watch(run.jobId), kit.watch(run.jobId, { after: cursorAt(kit, 2) }))
      }
      await run.settle({ kind: 'completed', result: null })
      for (const watch of watches) {
        await watch.next('end')
        await expectWhole(kit, watch)
      }
    })

    it('what the feed loses, repeats or delays is not seen, the end least of all', async (kit) => {
      const run = await kit.gateway.run()
      const watch = kit.watch(run.jobId)
      await watch.next('snapshot')
      let messages = 0
      kit.gateway.feed.disturb = (message: FeedMessage, deliver: (message: FeedMessage) => void) => {
        messages += 1
        if (messages % 4 === 1) setTimeout(() => deliver(message), 40)
        else if (messages % 4 !== 2) deliver(message)
        if (messages % 4 === 3) deliver(message)
      }
      for (let report = 1; report <= 20; report++) await run.report(line(`${report}`))
      kit.gateway.feed.disturb = () => {}
      await run.settle({ kind: 'completed', result: null })
      await watch.next('end')
      await expectWhole(kit, watch)
      expect(watch.events.map(({ seq }) => seq)).toEqual(Array.from({ length: 21 }, (_, index) => index + 3))
    })

    it('a change of history is a snapshot that says so, and the rest follows it', async (kit) => {
      const run = await kit.gateway.run()
      const watch = kit.watch(run.jobId)
      await watch.next('snapshot')
      await run.report(line('before'))
      await watch.reached(3)
      kit.gateway.feed.changeHistory()
      expect(await watch.next('snapshot', 2)).toMatchObject({ reason: 'epoch', cursor: cursorAt(kit, 3) })
      await run.report(line('in the new history'))
      await watch.reached(4)
    })

    it('one that drops its connection again and again sees everything all the same', async (kit) => {
      const run = await kit.gateway.run()
      const subscriber = new Subscriber({
        jobId: run.jobId,
        transport: () => kit.transport,
        addresses: () => [kit.address],
        dropAfter: () => Math.random() * 60,
        comeBackAfter: () => 0,
      })
      // The job goes on for as long as the connection has not been dropped in the middle of it four times, however slow this machine is.
      for (let report = 1; report <= 60 || subscriber.legs.length < 5; report++) {
        await run.report(line(`${report}`), percent(Math.min(report, 99)))
        await new Promise((resolve) => setTimeout(resolve, 5))
        if (report > 6000) throw new Error(`only ${subscriber.legs.length} connections in ${report} reports`)
      }
      await run.settle({ kind: 'completed', result: null })
      await until(() => subscriber.isOver, { what: 'the end' })
      expect(subscriber.failure).toBeNull()
      expect(breachesOfOrder(subscriber.sightings, await kit.history(run.jobId))).toEqual([])
      expect(subscriber.job).toEqual(await kit.job(run.jobId))
    })
  })
}
