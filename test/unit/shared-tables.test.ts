import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { JOB, JobSummary, StatusChange, summaryOf } from '../../shared/job.ts'
import {
  BACKOFF,
  fillPolicy,
  LABELS,
  POLICY,
  type RunPolicy,
  SubmitOptions,
  TIMES,
} from '../../shared/options.ts'
import { fill, pick, shapeOf, table, usualOf, withMark, withoutMark } from '../../shared/table.ts'
import { aJob } from '../helpers/scripted-network.ts'

const FRUIT = table({
  apple: { schema: z.int(), usual: 3, from: 'store', about: 'round' },
  pear: { schema: z.string(), option: z.enum(['ripe']), usual: 'ripe', isLarge: true, about: 'not round' },
})

describe('a table', () => {
  test('gives what is usual, the shape of an object, and the rows with a mark', () => {
    expect(usualOf(FRUIT)).toEqual({ apple: 3, pear: 'ripe' })
    expect(z.strictObject(shapeOf(FRUIT)).parse({ apple: 1, pear: '' })).toEqual({ apple: 1, pear: '' })
    expect(Object.keys(withMark(FRUIT, { isLarge: true }))).toEqual(['pear'])
    expect(Object.keys(withoutMark(FRUIT, { isLarge: true }))).toEqual(['apple'])
    expect(Object.keys(withMark(FRUIT, { from: 'events' }))).toEqual([])
    expect(pick({ apple: 1, pear: 2 }, ['pear'])).toEqual({ pear: 2 })
  })

  test('fills what is left out, and gives what is usual itself where all is', () => {
    const usual = usualOf(FRUIT)
    expect(fill({}, usual)).toBe(usual)
    expect(fill({ pear: undefined, ...{ plum: 1 } }, usual)).toBe(usual)
    expect(fill({ apple: 0 }, usual)).toEqual({ apple: 0, pear: 'ripe' })
    expect(usual).toEqual({ apple: 3, pear: 'ripe' })
  })
})

test.each(Object.entries({ ...TIMES, ...POLICY, ...BACKOFF, ...LABELS }))(
  'what is usual of %s may be said',
  (_, { schema, usual }) => {
    expect(schema.parse(usual)).toEqual(usual)
  },
)

test('an option has one name, and a field too', () => {
  const tables = [TIMES, POLICY, LABELS].flatMap((rows) => Object.keys(rows))
  expect(Object.keys(SubmitOptions.shape)).toEqual(tables)
  expect(new Set(tables).size).toBe(tables.length)
})

test('a policy is filled part by part, and stays itself where nothing is said of it', () => {
  const usual: RunPolicy = { ...usualOf(POLICY), maxAttempts: 7, backoff: { ...usualOf(BACKOFF), jitter: 0 } }
  expect(fillPolicy({ maxStalls: undefined, ...{ tags: ['a'] } }, usual)).toBe(usual)
  const filled = fillPolicy({ maxStalls: 0, backoff: { kind: 'fixed' } }, usual)
  expect(filled).toEqual({ ...usual, maxStalls: 0, backoff: { ...usual.backoff, kind: 'fixed' } })
})

describe('the fields of a job', () => {
  test('that are large are those that a list leaves out', () => {
    expect(Object.keys(summaryOf(aJob()))).toEqual(Object.keys(JobSummary.shape))
    const large = Object.keys(withMark(JOB, { isLarge: true }))
    expect(Object.keys(aJob()).filter((name) => !(name in JobSummary.shape))).toEqual(large)
  })

  test('that events change are those that a status event may have', () => {
    expect(Object.keys(StatusChange.shape)).toEqual(Object.keys(withMark(JOB, { from: 'events' })))
  })
})
