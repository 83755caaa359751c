import { describe, expect, test } from 'vitest'
import type { Outcome } from '../../server/engine/engine.ts'
import { BadPage } from '../../server/engine/errors.ts'
import {
  changeOf,
  EVENTS,
  eventOf,
  iso,
  type ReadDetails,
  type StatusEvent,
} from '../../server/engine/job/events.ts'
import { NewerWords } from '../../server/engine/job/newer-words.ts'
import { decodePage, encodePage } from '../../server/engine/job/pages.ts'
import {
  advance,
  eventsInOrder,
  isExpired,
  jobOf,
  type StoredJob,
} from '../../server/engine/job/stored-job.ts'
import { cancelled, rescued, retried, settled, submitted } from '../../server/engine/job/transitions.ts'
import type { JobEvent } from '../../shared/event.ts'
import { fold } from '../../shared/fold.ts'
import { DEFAULT_OPTIONS, NO_LABELS } from '../../shared/options.ts'
import { isTerminal, JOB_STATUSES } from '../../shared/status.ts'

const NOW = Date.parse('2026-11-23T15:49:00.007Z')
const POLICY = { ...DEFAULT_OPTIONS, maxStalls: 2, retainMs: 5000 }

function job(shape: Partial<StoredJob> = {}): StoredJob {
  return {
    ...{ jobId: 'job', type: 'work', policy: POLICY, labels: { ...NO_LABELS, tags: ['a'] } },
    ...{
      createdAt: NOW - 60_000,
      seq: 4,
      status: 'processing',
      attempt: 2,
      stalls: 1,
      cancelRequested: false,
    },
    ...{
      progress: { seq: 4, at: NOW - 10, data: { percent: 40, note: null } },
      error: 'once',
      errorCode: 'timeout',
    },
    ...{ scheduledFor: NOW - 40_000, startedAt: NOW - 30_000, completedAt: null, expiresAt: null },
    ...shape,
  }
}

const OUTCOMES: readonly [outcome: Outcome, event: StatusEvent][] = [
  [
    { kind: 'completed', result: 1 },
    { word: 'completed', expiresAt: NOW + 5000 },
  ],
  [
    { kind: 'failed', error: 'no', errorCode: 'unrecoverable' },
    { word: 'failed', expiresAt: NOW + 5000, errorCode: 'unrecoverable', error: 'no' },
  ],
  [
    { kind: 'retry', error: 'no', errorCode: 'handler_error', delayMs: 700 },
    { word: 'rescheduled', scheduledFor: NOW + 700, attempt: 3, errorCode: 'handler_error', error: 'no' },
  ],
  [
    { kind: 'later', delayMs: 700 },
    { word: 'scheduled', scheduledFor: NOW + 700 },
  ],
  [{ kind: 'cancelled' }, { word: 'cancelled', expiresAt: NOW + 5000 }],
  [{ kind: 'released' }, { word: 'released' }],
]

describe('a transition', () => {
  test.each(OUTCOMES)('of a run that ended: %j', (outcome, event) => {
    expect(settled(job(), outcome, NOW)).toEqual(event)
  })

  test.each(OUTCOMES)(
    'of a run that was to be cancelled is that, unless it completed: %j',
    (outcome, event) => {
      const end = settled(job({ cancelRequested: true }), outcome, NOW)
      expect(end).toEqual(outcome.kind === 'completed' ? event : { word: 'cancelled', expiresAt: NOW + 5000 })
    },
  )

  test('of a submission waits for its time, which may have come', () => {
    expect(submitted({ delayMs: 0 }, NOW)).toEqual({ word: 'queued' })
    expect(submitted({ delayMs: 1 }, NOW)).toEqual({ word: 'scheduled', scheduledFor: NOW + 1 })
    expect(submitted({ runAt: NOW }, NOW)).toEqual({ word: 'queued' })
    expect(submitted({ runAt: NOW + 1 }, NOW)).toEqual({ word: 'scheduled', scheduledFor: NOW + 1 })
  })

  test('of a lost lease queues again up to the most stalls', () => {
    expect(rescued(job({ stalls: 1 }), NOW)).toEqual({ word: 'rescued', stalls: 2 })
    const error = 'the lease ran out 3 times'
    expect(rescued(job({ stalls: 2 }), NOW)).toEqual({
      word: 'stalled',
      expiresAt: NOW + 5000,
      stalls: 3,
      error,
    })
    const last = rescued(job({ stalls: 0, cancelRequested: true }), NOW)
    expect(last).toEqual({ word: 'cancelled', expiresAt: NOW + 5000 })
  })

  test.each(JOB_STATUSES)('by hand is open or refused: %s', (status) => {
    const end = { word: 'cancelled', expiresAt: NOW + 5000 }
    const open = status === 'processing' ? { word: 'cancelling' } : end
    expect(cancelled(job({ status }), NOW)).toEqual(isTerminal(status) ? 'already_finished' : open)
    const mayRetry = status === 'failed' || status === 'cancelled'
    expect(retried(job({ status }))).toEqual(mayRetry ? { word: 'retried' } : 'not_retryable')
  })

  test('that was requested before is none', () => {
    expect(cancelled(job({ cancelRequested: true }), NOW)).toBeNull()
  })
})

const DETAILS: ReadDetails = {
  ...{ scheduledFor: NOW + 1000, expiresAt: NOW + 60_000, attempt: 3, stalls: 2 },
  ...{ errorCode: 'timeout', error: 'too slow' },
}

describe('a stored job', () => {
  test.each(Object.keys(EVENTS))('becomes by an event what those become who watch it: %s', (word) => {
    const event = eventOf(word, { ...DETAILS }, new NewerWords())
    if (event === null) throw new Error('no such event')
    const stored = job()
    const before = jobOf(stored, { payload: '{"n":1}', result: null }, 'e')
    const result = event.word === 'completed' ? { ok: true } : null
    const told: JobEvent = {
      ...{ seq: 5, at: iso(NOW), kind: 'status' },
      data: changeOf(event, NOW, () => result),
    }
    advance(stored, event, NOW)
    const after = jobOf(stored, { payload: '{"n":1}', result: result && JSON.stringify(result) }, 'e')
    expect(after).toEqual(fold(before, told))
  })

  test('is as good as gone from the ms on at which it expires', () => {
    expect([NOW - 1, NOW, NOW + 1].map((now) => isExpired({ expiresAt: NOW }, now))).toEqual([
      false,
      true,
      true,
    ])
    expect(isExpired({ expiresAt: null }, NOW)).toBe(false)
  })
})

describe('what is retained of a job', () => {
  const kept: JobEvent[] = [
    { seq: 5, at: iso(NOW), kind: 'chunk', data: 'later' },
    { seq: 2, at: iso(NOW), kind: 'status', data: { status: 'processing' } },
  ]
  const seqs = (after: number, isFirstLeftOut: boolean, some = kept) =>
    eventsInOrder(job(), after, some, isFirstLeftOut).map(({ seq, kind }) => `${seq} ${kind}`)

  test('comes in order, with its first event where that was left out, and the latest progress', () => {
    expect(seqs(0, true)).toEqual(['1 status', '2 status', '4 progress', '5 chunk'])
    expect(seqs(0, false)).toEqual(['2 status', '4 progress', '5 chunk'])
    expect(seqs(1, true, kept)).toEqual(['2 status', '4 progress', '5 chunk'])
    expect(seqs(3, true, [])).toEqual(['4 progress'])
    expect(seqs(4, true, [])).toEqual([])
    const [first] = eventsInOrder(job(), 0, [], true)
    expect(first).toEqual({ seq: 1, at: iso(NOW - 60_000), kind: 'status', data: { status: 'queued' } })
  })
})

describe('a page of a list', () => {
  const read = (words: string) => (words.startsWith('before ') ? words.slice(7) : null)

  test('comes back as what the store said', () => {
    expect(decodePage(encodePage('before 17 ü'), read)).toBe('17 ü')
  })

  test.each(['', 'x', encodePage('after 17'), `${encodePage('before 1')}=`, `${encodePage('before 17')} `])(
    'is refused where no list has returned it: %j',
    (page) => expect(() => decodePage(page, read)).toThrow(BadPage),
  )
})
