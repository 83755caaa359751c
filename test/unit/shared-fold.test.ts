import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JobEvent } from '../../shared/event.ts'
import { fold } from '../../shared/fold.ts'
import { Job, type StatusChange } from '../../shared/job.ts'
import { NO_LABELS } from '../../shared/options.ts'

const AT = '2026-11-23T15:49:00.000Z'

const JOB: Job = {
  jobId: '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11',
  type: 'thumbnails',
  status: 'queued',
  payload: { a: [1] },
  progress: null,
  result: null,
  error: null,
  errorCode: null,
  attempt: 1,
  maxAttempts: 3,
  stalls: 0,
  priority: 0,
  ...NO_LABELS,
  createdAt: AT,
  scheduledFor: null,
  startedAt: null,
  completedAt: null,
  expiresAt: null,
  cancelRequested: false,
  cursor: 'k3.q9.1',
}

const status = (seq: number, data: StatusChange): JobEvent => ({ seq, at: AT, kind: 'status', data })

const changes = fc.record<StatusChange>(
  {
    status: fc.constantFrom('queued', 'processing', 'completed', 'failed', 'cancelled', 'scheduled'),
    progress: fc.option(
      fc.record({ percent: fc.integer({ min: 0, max: 100 }), note: fc.option(fc.string()) }),
    ),
    result: fc.constantFrom(null, 0, 'text', [], { a: 1 }),
    error: fc.option(fc.string()),
    errorCode: fc.constantFrom(null, 'timeout', 'stalled'),
    attempt: fc.integer({ min: 1, max: 100 }),
    stalls: fc.integer({ min: 0, max: 100 }),
    scheduledFor: fc.constantFrom(null, AT),
    startedAt: fc.constantFrom(null, AT),
    completedAt: fc.constantFrom(null, AT),
    expiresAt: fc.constantFrom(null, AT),
    cancelRequested: fc.boolean(),
  },
  { requiredKeys: [] },
)

describe('fold', () => {
  test('of a status event assigns every field of it, also those that become null', () => {
    const failed = fold(
      JOB,
      status(2, { status: 'failed', error: 'no', errorCode: 'timeout', completedAt: AT }),
    )
    expect(failed).toEqual({
      ...JOB,
      status: 'failed',
      error: 'no',
      errorCode: 'timeout',
      completedAt: AT,
      cursor: 'k3.q9.2',
    })
    const retried = fold(
      failed,
      status(3, { status: 'queued', error: null, errorCode: null, completedAt: null }),
    )
    expect(retried).toEqual({ ...JOB, cursor: 'k3.q9.3' })
  })

  test('of a status event without a status keeps the status', () => {
    expect(fold(JOB, status(2, { cancelRequested: true }))).toEqual({
      ...JOB,
      cancelRequested: true,
      cursor: 'k3.q9.2',
    })
  })

  test('of progress sets the progress', () => {
    const progress = { percent: 42, note: '3 of 7' }
    expect(fold(JOB, { seq: 5, at: AT, kind: 'progress', data: progress })).toEqual({
      ...JOB,
      progress,
      cursor: 'k3.q9.5',
    })
  })

  test('of a log line or a chunk moves the cursor only, whatever the chunk is', () => {
    expect(fold(JOB, { seq: 2, at: AT, kind: 'log', data: { level: 'info', line: 'x' } })).toEqual({
      ...JOB,
      cursor: 'k3.q9.2',
    })
    for (const data of [null, 'text', [1], { status: 'failed', cursor: 'x.1', progress: 7 }]) {
      expect(fold(JOB, { seq: 3, at: AT, kind: 'chunk', data })).toEqual({ ...JOB, cursor: 'k3.q9.3' })
    }
  })

  test('changes neither the job nor the event that it is given', () => {
    const job = Object.freeze({ ...JOB })
    const event = status(2, Object.freeze({ status: 'processing' }))
    expect(fold(job, Object.freeze(event))).not.toBe(job)
    expect(job).toEqual(JOB)
  })

  test('of any changes gives a job again, with the last word on every field and the last cursor', () => {
    fc.assert(
      fc.property(fc.array(changes, { minLength: 1, maxLength: 8 }), (list) => {
        const folded = list.map((data, index) => status(index + 2, data)).reduce(fold, JOB)
        expect(Job.parse(folded)).toEqual(folded)
        expect(folded).toEqual({ ...Object.assign({}, JOB, ...list), cursor: `k3.q9.${list.length + 1}` })
      }),
    )
  })

  test('of latest progress alone ends like that of all of it', () => {
    const progress = (seq: number): JobEvent => ({
      seq,
      at: AT,
      kind: 'progress',
      data: { percent: seq, note: null },
    })
    const all = [2, 3, 4, 5].map(progress).reduce(fold, JOB)
    expect(fold(JOB, progress(5))).toEqual(all)
  })
})
