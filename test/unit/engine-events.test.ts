import { describe, expect, test } from 'vitest'
import { changeOf, EVENTS, eventOf, iso, type StatusEvent } from '../../server/engine/job/events.ts'
import { NewerWords } from '../../server/engine/job/newer-words.ts'
import { StatusChange } from '../../shared/job.ts'
import { isTerminal, TRANSITIONS } from '../../shared/status.ts'

const AT = Date.parse('2026-11-23T15:49:00.007Z')
const DETAILS = {
  scheduledFor: AT + 1000,
  expiresAt: AT + 60_000,
  attempt: 2,
  stalls: 3,
  errorCode: 'timeout',
  error: 'too slow',
} as const

const ALL: readonly StatusEvent[] = Object.keys(EVENTS).flatMap(
  (word) => eventOf(word, DETAILS, new NewerWords()) ?? [],
)

describe('the table of status events', () => {
  test('has an event for each change of the state machine, and no other', () => {
    const made = Object.values(EVENTS).flatMap(({ from, to }) =>
      to === null ? [] : from.map((status) => `${status} -> ${to}`),
    )
    const allowed = TRANSITIONS.map(({ from, to }) => `${from} -> ${to}`)
    expect([...new Set(made)].sort()).toEqual([...new Set(allowed)].sort())
  })

  test.each(ALL)('tells everyone what changes, in the words of the protocol: $word', (event) => {
    const { to, carries, stamps, sets } = EVENTS[event.word]
    const change = StatusChange.strict().parse(changeOf(event, AT, () => ({ seen: true })))
    expect(change.status).toBe(to ?? undefined)
    for (const field of stamps) expect(change[field]).toBe(iso(AT))
    for (const field of carries) expect(change[field]).toBe(told(field))
    expect(change).toMatchObject(sets)
    expect(change.result).toEqual(event.word === 'completed' ? { seen: true } : sets.result)
  })

  test.each(Object.entries(EVENTS))('ends a job with its times, and only then: %s', (_word, kind) => {
    const isEnd = kind.to !== null && isTerminal(kind.to)
    expect(kind.stamps.includes('completedAt')).toBe(isEnd)
    expect(kind.carries.includes('expiresAt')).toBe(isEnd)
    expect(kind.carries.includes('scheduledFor')).toBe(kind.to === 'scheduled')
  })
})

function told(field: keyof typeof DETAILS) {
  const detail = DETAILS[field]
  return field === 'scheduledFor' || field === 'expiresAt' ? iso(DETAILS[field]) : detail
}

test('a word of a newer version is no event, and is told of once', () => {
  const heard: string[] = []
  const newer = new NewerWords((what) => heard.push(what))
  expect(eventOf('hibernated', {}, newer)).toBeNull()
  expect(eventOf('toString', {}, newer)).toBeNull()
  expect(eventOf('hibernated', {}, newer)).toBeNull()
  expect(heard).toEqual(['event hibernated', 'event toString'])
})

test.each([
  [0, '1970-01-01T00:00:00.000Z'],
  [AT, '2026-11-23T15:49:00.007Z'],
  [AT + 993, '2026-11-23T15:49:01.000Z'],
  [-1, '1969-12-31T23:59:59.999Z'],
])('times are told in UTC with milliseconds: %i', (ms, text) => {
  expect(iso(ms)).toBe(text)
  expect(iso(ms)).toBe(new Date(ms).toISOString())
})
