import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Envelope, isPlain } from '../../server/http/submission.ts'

/** Fields that a submission may have, that it may not have, and those that every object has some way or other. */
const field = fc.constantFrom('type', 'payload', 'options', 'other', '__proto__', 'constructor', 'toString')
const value = fc.oneof(fc.constantFrom('mail', '', 'Not A Type'), fc.jsonValue({ maxDepth: 2 }))
const fields = fc.array(fc.tuple(field, value), { maxLength: 4 })

/** As it comes out of `JSON.parse`, with fields such as `__proto__` of its own. */
const object = fields.map((pairs) =>
  JSON.parse(
    `{${pairs.map(([name, inner]) => `${JSON.stringify(name)}:${JSON.stringify(inner)}`).join(',')}}`,
  ),
)
const usual = fc.tuple(fc.string(), value).map(([type, payload]) => ({ type, payload }))
const body = fc.oneof(object, usual, fc.jsonValue({ maxDepth: 2 }), fc.array(object, { maxLength: 2 }))

test('what needs no look at its envelope is what the schema lets through as it is', () => {
  let plain = 0
  fc.assert(
    fc.property(body, (given) => {
      if (!isPlain(given)) return
      plain += 1
      expect(Envelope.parse(given)).toEqual(given)
    }),
    { numRuns: 5000 },
  )
  expect(plain).toBeGreaterThan(500)
})

test('the usual submission needs none', () => {
  expect(isPlain({ type: 'mail', payload: { to: 'ada' } })).toBe(true)
  expect(isPlain({ type: 'mail', payload: null })).toBe(true)
  expect(isPlain({ type: 'mail', payload: 1, options: {} })).toBe(false)
  expect(isPlain({ payload: 1 })).toBe(false)
})
