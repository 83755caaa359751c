import { describe, expect } from 'vitest'
import type { RunEvent } from '../../../server/engine/engine.ts'
import { RETAINED_BYTES, RETAINED_EVENTS } from '../../../shared/limits.ts'
import { type EngineTest, type Kit, leaseOf, newJob, present } from '../harness.ts'

const progress = (percent: number, note: string | null = null): RunEvent => ({
  kind: 'progress',
  data: { percent, note },
})
const log = (line: string): RunEvent => ({ kind: 'log', data: { level: 'info', line } })
const chunk = (data: string | number): RunEvent => ({ kind: 'chunk', data })

async function seqs(kit: Kit, jobId: string): Promise<number[]> {
  return (await kit.events(jobId)).map(({ seq }) => seq)
}

async function resume(kit: Kit, jobId: string, after: number) {
  const [read] = await kit.raw.feed.read([
    { jobId, after: { epoch: kit.raw.feed.epoch, seq: after }, history: false, withJob: false },
  ])
  const { mode, events, ...rest } = present(read, 'read')
  return { mode: 'reason' in rest ? rest.reason : mode, seqs: events.map(({ seq }) => seq), events }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

export function reportCases(it: EngineTest): void {
  describe('report', () => {
    it('appends events in order, exactly as given', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      const events: RunEvent[] = [
        { kind: 'log', data: { level: 'debug', line: '' } },
        { kind: 'log', data: { level: 'error', line: 'line\nbreaks\u0000é💥' } },
        { kind: 'chunk', data: null },
        { kind: 'chunk', data: [] },
        { kind: 'chunk', data: {} },
        { kind: 'chunk', data: { deep: [{ a: [1, 'x', null, false] }] } },
        { kind: 'chunk', data: 'text' },
        { kind: 'chunk', data: 0 },
        { kind: 'progress', data: { percent: 33.3, note: 'a third' } },
      ]
      expect(await kit.report(run, ...events)).toBe('ok')
      const stored = (await kit.events(jobId)).slice(2)
      expect(stored.map(({ kind, data }) => ({ kind, data }))).toEqual(events)
      expect(stored.map(({ seq }) => seq)).toEqual(range(3, 11))
      expect((await kit.job(jobId)).progress).toEqual({ percent: 33.3, note: 'a third' })
    })

    it('stores a numbered event of a run once, however often and with whatever it comes again', async (kit) => {
      const jobId = await kit.submit({ policy: { maxAttempts: 2 } })
      const run = await kit.claimOne()
      const first = { ...chunk('first'), n: 1 }
      const third = { ...log('third'), n: 3 }
      expect(await kit.report(run, first)).toBe('ok')
      expect(await kit.report(run, first, { ...progress(50), n: 2 })).toBe('ok')
      expect(await kit.report(run, first, { ...progress(50), n: 2 }, third)).toBe('ok')
      const settlement = {
        ...leaseOf(run),
        outcome: { kind: 'retry', error: 'no', errorCode: 'handler_error', delayMs: 0 } as const,
        events: [third, { ...chunk('fourth'), n: 4 }],
      }
      await kit.engine.settle({ settlements: [settlement] })
      await kit.engine.settle({ settlements: [settlement] })
      await kit.engine.promote({ limit: 10 })
      // The next run counts from one again.
      await kit.report(await kit.claimOne(), { ...chunk('of the second attempt'), n: 1 })
      const told = (await kit.events(jobId)).filter(({ kind }) => kind === 'log' || kind === 'chunk')
      expect(told.map(({ data }) => data)).toEqual([
        'first',
        { level: 'info', line: 'third' },
        'fourth',
        'of the second attempt',
      ])
      expect(Object.keys(present(told[0], 'event')).sort()).toEqual(['at', 'data', 'kind', 'seq'])
    })

    it('takes several runs in a call, one verdict each; a stale one stores nothing', async (kit) => {
      for (let n = 0; n < 3; n++) await kit.submit()
      const runs = await kit.claim({ limit: 3 })
      await kit.settle(present(runs[1], 'run'), { kind: 'released' })
      const verdicts = await kit.engine.report([
        ...runs.map((run, index) => ({ ...leaseOf(run), events: [chunk(index)] })),
        { ...leaseOf(present(runs[0], 'run')), events: [chunk('again')] },
        { ...leaseOf(present(runs[2], 'run')), events: [] },
      ])
      expect(verdicts).toEqual(['ok', 'stale', 'ok', 'ok', 'ok'])
      const chunks = await Promise.all(
        runs.map(async ({ jobId }) =>
          (await kit.events(jobId)).filter(({ kind }) => kind === 'chunk').map(({ data }) => data),
        ),
      )
      expect(chunks).toEqual([[0, 'again'], [], [2]])
      expect(await kit.engine.report([])).toEqual([])
    })

    it('goes on while a cancel is requested', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      await kit.engine.cancel(jobId)
      expect(await kit.report(run, log('stopping'))).toBe('ok')
      expect((await kit.lastEvent(jobId)).data).toEqual({ level: 'info', line: 'stopping' })
    })
  })

  describe('what is retained', () => {
    it('of progress is the latest only, in its place', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      await kit.report(run, progress(1), log('a'), progress(2))
      await kit.report(run, progress(3, 'three'))
      await kit.report(run, log('b'))
      expect(await seqs(kit, jobId)).toEqual([1, 2, 4, 6, 7])
      expect(await resume(kit, jobId, 2)).toMatchObject({ mode: 'resume', seqs: [4, 6, 7] })
      expect(await resume(kit, jobId, 3)).toMatchObject({ mode: 'resume', seqs: [4, 6, 7] })
      expect(await resume(kit, jobId, 5)).toMatchObject({ mode: 'resume', seqs: [6, 7] })
      expect(await resume(kit, jobId, 6)).toMatchObject({ mode: 'resume', seqs: [7] })
      expect(await resume(kit, jobId, 0)).toMatchObject({ mode: 'resume', seqs: [1, 2, 4, 6, 7] })
    })

    it('of progress ends with the next claim or retry by hand, and only then', async (kit) => {
      const jobId = await kit.submit()
      await kit.report(await kit.claimOne({ claimId: 'first' }), progress(10))
      const [run] = await kit.claim({ claimId: 'first' })
      await kit.settle(present(run, 'run'), { kind: 'released' })
      expect(await seqs(kit, jobId)).toEqual([1, 2, 3, 4])
      const second = await kit.claimOne()
      expect(await seqs(kit, jobId)).toEqual([1, 2, 4, 5])
      await kit.settle(second, { kind: 'failed', error: 'x', errorCode: 'handler_error' }, [progress(20)])
      expect(await seqs(kit, jobId)).toEqual([1, 2, 4, 5, 6, 7])
      await kit.engine.retry(jobId)
      expect(await seqs(kit, jobId)).toEqual([1, 2, 4, 5, 7, 8])
      expect(await resume(kit, jobId, 1)).toMatchObject({ mode: 'resume', seqs: [2, 4, 5, 7, 8] })
    })

    it('of log lines and chunks is the newest thousand together', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      const events = range(3, 1002).map((seq) => (seq % 2 ? log(`${seq}`) : chunk(seq)))
      for (let from = 0; from < events.length; from += 250) {
        expect(await kit.report(run, ...events.slice(from, from + 250))).toBe('ok')
      }
      expect(await seqs(kit, jobId)).toEqual(range(1, 1002))
      expect(await resume(kit, jobId, 0)).toMatchObject({ mode: 'resume', seqs: range(1, 1002) })

      await kit.report(run, log('one more'), progress(50), chunk('and another'))
      // Seqs 3 and 4 had to go; status events are counted apart and stay, as does the progress.
      expect(RETAINED_EVENTS).toBe(1000)
      expect(await seqs(kit, jobId)).toEqual([1, 2, ...range(5, 1005)])
      expect(await resume(kit, jobId, 3)).toMatchObject({ mode: 'trimmed', seqs: [] })
      expect(await resume(kit, jobId, 0)).toMatchObject({ mode: 'trimmed', seqs: [] })
      expect(await resume(kit, jobId, 4)).toMatchObject({ mode: 'resume', seqs: range(5, 1005) })
    })

    it('is trimmed within one report as well', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      expect(await kit.report(run, ...range(3, 9002).map((seq) => chunk(seq)))).toBe('ok')
      expect(await seqs(kit, jobId)).toEqual([1, 2, ...range(8003, 9002)])
      expect(await resume(kit, jobId, 8001)).toMatchObject({ mode: 'trimmed' })
      const last = await resume(kit, jobId, 8002)
      expect(last.events.map(({ data }) => data)).toEqual(range(8003, 9002))
    })

    it('of log lines and chunks is at most 4 MiB of data, counted in bytes of UTF-8', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      // With its quotes, each is a quarter of a MiB of JSON, in half as many characters.
      const quarter = 'é'.repeat((RETAINED_BYTES / 16 - 2) / 2)
      for (let n = 0; n < 16; n++) expect(await kit.report(run, chunk(quarter))).toBe('ok')
      expect(await seqs(kit, jobId)).toEqual(range(1, 18))
      await kit.report(run, chunk(1))
      expect(await seqs(kit, jobId)).toEqual([1, 2, ...range(4, 19)])
      expect(await resume(kit, jobId, 2)).toMatchObject({ mode: 'trimmed' })
      expect(await resume(kit, jobId, 3)).toMatchObject({ mode: 'resume', seqs: range(4, 19) })
      // The byte that came in between takes the room of another one.
      await kit.report(run, chunk(quarter), chunk(2))
      expect(await seqs(kit, jobId)).toEqual([1, 2, ...range(5, 21)])
    })

    it('of status events is the newest thousand', async ({ raw }) => {
      const receipt = await raw.submit({ jobs: [newJob()] })
      const jobId = present(receipt.jobs[0], 'receipt').jobId
      const next = (claimId: string) => ({
        claimId,
        workerId: 'w',
        limit: 1,
        types: [{ type: 'work', limit: 1 }],
        leaseMs: 60_000,
      })
      let [run] = await raw.claim(next('0'))
      await raw.report([{ ...leaseOf(present(run, 'run')), events: [log('kept'), progress(1)] }])
      // Two status events a round: given back, and claimed again.
      for (let round = 1; round <= 501; round++) {
        const { claims } = await raw.settle({
          settlements: [{ ...leaseOf(present(run, 'run')), outcome: { kind: 'released' }, events: [] }],
          next: next(String(round)),
        })
        run = present(claims[0], 'claim')
      }
      const top = 4 + 2 * 501
      const [read] = await raw.feed.read([{ jobId, after: null, history: true, withJob: false }])
      const kept = present(read, 'read').events
      expect(kept.filter(({ kind }) => kind === 'status').map(({ seq }) => seq)).toEqual(
        range(top - 999, top),
      )
      expect(kept.filter(({ kind }) => kind === 'log').map(({ seq }) => seq)).toEqual([3])
      const modeAfter = async (seq: number) => {
        const [one] = await raw.feed.read([
          { jobId, after: { epoch: raw.feed.epoch, seq }, history: false, withJob: false },
        ])
        return one?.mode
      }
      expect(await modeAfter(top - 1001)).toBe('snapshot')
      expect(await modeAfter(top - 1000)).toBe('resume')
      expect((await raw.get(jobId))?.cursor).toBe(`${raw.feed.epoch}.${top}`)
    })
  })
}
