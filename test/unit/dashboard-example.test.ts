import { expect, test } from 'vitest'
import { exampleOf } from '../../client/dashboard/home/example.ts'

test.each([
  [{ type: 'string' }, ''],
  [{ type: 'integer', minimum: 3 }, 3],
  [{ type: 'number' }, 0],
  [{ type: ['boolean', 'null'] }, false],
  [{ type: 'null' }, null],
  [{}, null],
  [{ enum: ['a', 'b'] }, 'a'],
  [{ const: 7 }, 7],
  [{ type: 'string', examples: ['Ada'] }, 'Ada'],
  [{ type: 'string', default: 'x', examples: ['Ada'] }, 'x'],
  [{ anyOf: [{ type: 'boolean' }, { type: 'string' }] }, false],
  [{ type: 'array', items: { type: 'string' } }, []],
  [{ type: 'array', items: { type: 'string' }, minItems: 2 }, ['']],
  [
    {
      type: 'object',
      properties: { a: { type: 'string' }, b: { type: 'string' }, c: { default: false } },
      required: ['a'],
    },
    { a: '', c: false },
  ],
])('a value of %j', (schema, value) => {
  expect(exampleOf(schema)).toEqual(value)
})

test('follows what a schema refers to, itself among it', () => {
  const name = { $defs: { name: { type: 'string', default: 'Ada' } }, $ref: '#/$defs/name' }
  expect(exampleOf(name)).toBe('Ada')
  const endless = { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] }
  expect(JSON.stringify(exampleOf(endless))).toMatch(/^(\{"next":)+null\}+$/)
  expect(exampleOf({ $ref: '#/$defs/nothing' })).toBeNull()
})
