import { describe, expect } from 'vitest'
import { cursorAt, expectWhole, lasting, line, percent, type TransportTest } from '../harness.ts'

/** Where a watch begins. */
export function cursorCases(it: TransportTest): void {
  describe('where it begins', () => {
    it('without a cursor: a snapshot of the job as it is', async (kit) => {
      const jobId = await kit.gateway.submit({ payload: { size: 3 } })
      for (const after of [null, '']) {
        const snapshot = await kit.watch(jobId, { after }).next('snapshot')
        const job = await kit.job(jobId)
        expect(snapshot).toEqual({ told: 'snapshot', reason: 'new', job, cursor: job.cursor, events: [] })
      }
    })

    it('with a cursor: exactly the events after it', async (kit) => {
      const run = await kit.gateway.run()
      await run.report(line('one'), line('two'), line('three'))
      const watch = kit.watch(run.jobId, { after: cursorAt(kit, 3) })
      await watch.reached(5)
      expect(watch.events).toEqual((await kit.history(run.jobId)).slice(3))
      await run.report(line('four'))
      await watch.reached(6)
      expect(watch.told.some(({ told }) => told === 'snapshot')).toBe(false)
      expect(watch.events.map(({ seq }) => seq)).toEqual([4, 5, 6])
    })

    it('with history asked for: a snapshot brings the retained events, which are in the job already', async (kit) => {
      const run = await kit.gateway.run()
      await run.report(line('early'), percent(50))
      const watch = kit.watch(run.jobId, { history: true })
      const { events } = await watch.next('snapshot')
      expect(events).toEqual(await kit.history(run.jobId))
      expect(events.map(({ kind }) => kind)).toEqual(['status', 'status', 'log', 'progress'])
      expect(watch.account.job).toEqual(await kit.job(run.jobId))
    })

    it('a cursor of another history, or one that cannot be read: a snapshot that says so', async (kit) => {
      const { jobId } = await kit.gateway.run()
      for (const after of [
        'elsewhere.1',
        'garbage',
        '.',
        '\r\n\r\nevent: end\r\n\r\n',
        `${'x'.repeat(5000)}.1`,
        'ünreadable.1',
      ]) {
        const watch = kit.watch(jobId, { after })
        expect(await watch.next('snapshot')).toMatchObject({ reason: 'epoch', cursor: cursorAt(kit, 2) })
      }
    })

    it('a cursor beyond the history: a snapshot that says so', async (kit) => {
      const { jobId } = await kit.gateway.run()
      const watch = kit.watch(jobId, { after: cursorAt(kit, 999) })
      expect(await watch.next('snapshot')).toMatchObject({ reason: 'ahead', cursor: cursorAt(kit, 2) })
    })

    it('a cursor older than what is retained: a snapshot that says so, and never a part', async (kit) => {
      const run = await kit.gateway.run()
      for (let burst = 0; burst < 11; burst++) {
        await run.report(...Array.from({ length: 100 }, (_, number) => line(`${burst}.${number}`)))
      }
      const watch = kit.watch(run.jobId, { after: cursorAt(kit, 2) })
      expect(await watch.next('snapshot')).toMatchObject({
        reason: 'trimmed',
        trimmed: 102,
        cursor: cursorAt(kit, 1102),
      })
      await run.settle({ kind: 'completed', result: null })
      await watch.next('end')
      await expectWhole(kit, watch)
      expect(watch.events.map(({ seq }) => seq)).toEqual([1103])
      const past = await kit.watch(run.jobId, { history: true }).next('snapshot')
      expect(past).toMatchObject({ reason: 'new', trimmed: 102 })
      expect(past.events[0]?.seq).toBe(1)
    })

    it('progress that was merged away meanwhile is no gap', async (kit) => {
      const run = await kit.gateway.run()
      for (let value = 1; value <= 20; value++) await run.report(percent(value))
      await run.report(line('after'))
      const watch = kit.watch(run.jobId, { after: cursorAt(kit, 2) })
      await watch.reached(23)
      expect(watch.events).toMatchObject([
        { seq: 22, kind: 'progress', data: { percent: 20 } },
        { seq: 23, kind: 'log' },
      ])
      await run.report(line('and on'))
      await watch.reached(24)
      expect(lasting(watch.events).map(({ seq }) => seq)).toEqual([23, 24])
    })
  })
}
