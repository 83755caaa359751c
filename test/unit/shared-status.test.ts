import { describe, expect, test } from 'vitest'
import {
  isTerminal,
  JOB_STATUSES,
  type JobStatus,
  mayTransition,
  perStatus,
  TRANSITIONS,
} from '../../shared/status.ts'

/** The protocol's own table (section 2), written out once more: from -> to. */
const PROTOCOL: Readonly<Record<JobStatus | 'new', readonly JobStatus[]>> = {
  new: ['queued', 'scheduled'],
  scheduled: ['queued', 'cancelled'],
  queued: ['processing', 'cancelled'],
  processing: ['completed', 'failed', 'scheduled', 'queued', 'cancelled'],
  completed: [],
  failed: ['queued'],
  cancelled: ['queued'],
}

describe('the state machine', () => {
  test('has the six statuses of the protocol', () => {
    expect([...JOB_STATUSES].sort()).toEqual(
      ['queued', 'scheduled', 'processing', 'completed', 'failed', 'cancelled'].sort(),
    )
  })

  test('gives each a number, which is its code in files and stays it', () => {
    expect(perStatus((_status, index) => index)).toEqual({
      ...{ scheduled: 0, queued: 1, processing: 2, completed: 3, failed: 4, cancelled: 5 },
    })
    expect(perStatus((status) => status.length)).toMatchObject({ queued: 6, cancelled: 9 })
  })

  test('allows what the protocol allows, and nothing else', () => {
    for (const from of [null, ...JOB_STATUSES]) {
      for (const to of JOB_STATUSES) {
        expect(mayTransition(from, to), `${from} to ${to}`).toBe(PROTOCOL[from ?? 'new'].includes(to))
      }
    }
  })

  test('leaves a terminal status by hand only, and never leaves completed', () => {
    for (const { from, by } of TRANSITIONS) {
      if (from !== null && isTerminal(from)) expect(by).toBe('retry')
      expect(from).not.toBe('completed')
    }
    expect(JOB_STATUSES.filter(isTerminal)).toEqual(['completed', 'failed', 'cancelled'])
  })

  test('starts every run with a claim, and lets only its settling or rescue end it', () => {
    for (const { from, to, by } of TRANSITIONS) {
      if (from === 'processing') expect(['settle', 'rescue']).toContain(by)
      expect(to === 'processing').toBe(by === 'claim')
      expect(from === null).toBe(by === 'submit')
    }
  })

  test('names each change once', () => {
    const rows = TRANSITIONS.map(({ from, to, by }) => `${from} ${to} ${by}`)
    expect(new Set(rows).size).toBe(rows.length)
  })
})
