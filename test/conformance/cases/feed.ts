import { setImmediate } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { ReadRequest, ReadResult } from '../../../server/engine/engine.ts'
import { newJobId } from '../../../server/engine/job/ids.ts'
import { parseCursor } from '../../../shared/cursor.ts'
import { fold } from '../../../shared/fold.ts'
import type { Job } from '../../../shared/job.ts'
import { type EngineTest, type Kit, leaseOf, newJob, present } from '../harness.ts'

const GARBAGE = [
  '',
  'nonsense',
  '\u0000',
  '../..',
  '{jobcast:0}:x',
  'x'.repeat(10_000),
  '__proto__',
  '0199e0c4-9a51-4c1e-8a6b-0d5f0f6a3b11',
  '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11\n',
  ' 0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11',
  '0199E0C4-9A51-7C1E-8A6B-0D5F0F6A3B11',
  '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11',
]

async function read(kit: Kit, request: Partial<ReadRequest> & { jobId: string }): Promise<ReadResult> {
  const [result] = await kit.raw.feed.read([{ after: null, history: false, withJob: false, ...request }])
  return present(result, 'such job')
}

const seqs = ({ events }: ReadResult) => events.map(({ seq }) => seq)

/** A job with five events: submitted, claimed, a log line, progress, completed. */
async function finishedJob(kit: Kit): Promise<string> {
  const jobId = await kit.submit()
  const run = await kit.claimOne()
  await kit.report(run, { kind: 'log', data: { level: 'info', line: 'a' } })
  await kit.report(run, { kind: 'progress', data: { percent: 50, note: null } })
  await kit.settle(run, { kind: 'completed', result: 'r' })
  return jobId
}

export function feedCases(it: EngineTest): void {
  describe('feed.read', () => {
    it('without a cursor, gives the whole job and says that it is new', async (kit) => {
      const jobId = await finishedJob(kit)
      const { epoch } = kit.raw.feed
      expect(await read(kit, { jobId })).toEqual({
        epoch,
        seq: 5,
        status: 'completed',
        mode: 'snapshot',
        reason: 'new',
        trimmed: 0,
        job: await kit.job(jobId),
        events: [],
      })
      const { events, ...rest } = await read(kit, { jobId, history: true })
      expect(rest).toMatchObject({ mode: 'snapshot', reason: 'new', seq: 5 })
      expect(events.map(({ seq, kind }) => [seq, kind])).toEqual([
        [1, 'status'],
        [2, 'status'],
        [3, 'log'],
        [4, 'progress'],
        [5, 'status'],
      ])
    })

    it('after a cursor, gives exactly what came since, and the job where asked for', async (kit) => {
      const jobId = await finishedJob(kit)
      const { epoch } = kit.raw.feed
      const { events } = await read(kit, { jobId, history: true })
      for (let seq = 0; seq <= 5; seq++) {
        const expected = {
          epoch,
          seq: 5,
          status: 'completed',
          mode: 'resume',
          job: null,
          events: events.filter((event) => event.seq > seq),
        }
        const after = { epoch, seq }
        expect(await read(kit, { jobId, after })).toEqual(expected)
        expect(await read(kit, { jobId, after, history: true })).toEqual(expected)
        expect(await read(kit, { jobId, after, withJob: true })).toEqual({
          ...expected,
          job: await kit.job(jobId),
        })
      }
    })

    it('gives a snapshot with its reason for a cursor that cannot be continued', async (kit) => {
      const jobId = await finishedJob(kit)
      const { epoch } = kit.raw.feed
      const judged = async (after: ReadRequest['after']) => {
        const result = await read(kit, { jobId, after, history: true })
        expect(seqs(result)).toEqual(result.mode === 'snapshot' ? [1, 2, 3, 4, 5] : expect.anything())
        expect(result.job).toEqual(result.mode === 'snapshot' ? await kit.job(jobId) : null)
        return result.mode === 'snapshot' ? result.reason : result.mode
      }
      expect(await judged(null)).toBe('new')
      expect(await judged({ epoch: `${epoch}x`, seq: 5 })).toBe('epoch')
      expect(await judged({ epoch: '', seq: 0 })).toBe('epoch')
      expect(await judged(parseCursor('garbage'))).toBe('epoch')
      expect(await judged({ epoch: epoch.slice(0, -1), seq: 99 })).toBe('epoch')
      expect(await judged({ epoch, seq: 6 })).toBe('ahead')
      expect(await judged({ epoch, seq: 999_999_999_999_999 })).toBe('ahead')
    })

    it('says that a cursor is trimmed when events after it are gone', async (kit) => {
      const jobId = await kit.submit()
      const run = await kit.claimOne()
      const lines = Array.from({ length: 600 }, () => ({
        kind: 'log' as const,
        data: { level: 'info' as const, line: '' },
      }))
      await kit.report(run, ...lines)
      await kit.report(run, ...lines)
      const { epoch } = kit.raw.feed
      expect(await read(kit, { jobId, after: { epoch, seq: 201 } })).toMatchObject({
        reason: 'trimmed',
        trimmed: 202,
        seq: 1202,
      })
      expect(await read(kit, { jobId, after: null })).toMatchObject({ reason: 'new', trimmed: 202 })
      const whole = await kit.submit()
      expect(await read(kit, { jobId: whole, after: null })).toMatchObject({ reason: 'new', trimmed: 0 })
      expect(seqs(await read(kit, { jobId, after: { epoch, seq: 202 } }))).toHaveLength(1000)
    })

    it('answers many requests in order, null where there is no such job', async (kit) => {
      const jobId = await finishedJob(kit)
      const other = await kit.submit()
      const requests = [newJobId(), jobId, ...GARBAGE, other, jobId].map((id) => ({
        jobId: id,
        after: null,
        history: false,
        withJob: false,
      }))
      const results = await kit.raw.feed.read(requests)
      expect(results.map((result) => (result?.mode === 'snapshot' ? result.job.jobId : null))).toEqual([
        null,
        jobId,
        ...GARBAGE.map(() => null),
        other,
        jobId,
      ])
      expect(await kit.raw.feed.read([])).toEqual([])
    })

    it('keeps one epoch, without white space, on every cursor', async (kit) => {
      const { epoch } = kit.raw.feed
      expect(epoch).toMatch(/^\S{1,64}$/)
      const jobId = await finishedJob(kit)
      expect((await kit.job(jobId)).cursor).toBe(`${epoch}.5`)
      expect(parseCursor((await kit.job(jobId)).cursor)).toEqual({ epoch, seq: 5 })
      expect(kit.raw.feed.epoch).toBe(epoch)
    })

    it('is atomic: the events fit the job, whatever is written meanwhile', async ({ raw, store }) => {
      const reader = ((await store.peer?.()) ?? raw).feed
      const receipt = await raw.submit({ jobs: [newJob()] })
      const jobId = present(receipt.jobs[0], 'receipt').jobId
      const [run] = await raw.claim({
        claimId: 'c',
        workerId: 'w',
        limit: 1,
        types: [{ type: 'work', limit: 1 }],
        leaseMs: 60_000,
      })
      let writing = true
      const written = (async () => {
        for (let n = 1; n <= 150; n++) {
          await raw.report([
            {
              ...leaseOf(present(run, 'run')),
              events: [
                { kind: 'progress', data: { percent: n / 2, note: String(n) } },
                { kind: 'chunk', data: n },
              ],
            },
          ])
        }
        writing = false
      })()
      let job: Job | null = null
      let reads = 0
      while (writing) {
        const after = job === null ? null : parseCursor(job.cursor)
        const [result] = await reader.read([{ jobId, after, history: true, withJob: true }])
        const now = present(result, 'job')
        expect(parseCursor(present(now.job, 'job').cursor).seq).toBe(now.seq)
        if (job !== null) expect(now.events.reduce(fold, job)).toEqual(now.job)
        else expect(now.events.at(-1)?.seq).toBe(now.seq)
        job = present(now.job, 'job')
        reads += 1
        await setImmediate()
      }
      await written
      expect(reads).toBeGreaterThan(1)
    })
  })

  describe('feed.positions', () => {
    it('says where jobs stand', async (kit) => {
      const jobId = await finishedJob(kit)
      const queued = await kit.submit()
      const { epoch } = kit.raw.feed
      expect(await kit.raw.feed.positions([queued, newJobId(), jobId, ...GARBAGE])).toEqual([
        { epoch, seq: 1, status: 'queued' },
        null,
        { epoch, seq: 5, status: 'completed' },
        ...GARBAGE.map(() => null),
      ])
      expect(await kit.raw.feed.positions([])).toEqual([])
    })
  })

  describe('get', () => {
    it('knows nothing of what was never submitted, or is no id at all', async (kit) => {
      await kit.submit()
      for (const jobId of [newJobId(), ...GARBAGE]) expect(await kit.raw.get(jobId)).toBeNull()
    })
  })
}
