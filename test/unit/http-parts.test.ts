import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { idempotencyKey, matchesEtag, preferredWait } from '../../server/http/headers.ts'
import { ListParameters } from '../../server/http/jobs.ts'
import { ProblemError } from '../../server/http/problem.ts'
import { canonical } from '../../server/http/submit.ts'
import { PollParameters } from '../../server/http/watch.ts'
import { type ReadQuery, readQuery, SocketParameters } from '../../shared/query.ts'

describe('Prefer: wait', () => {
  test.each([
    [undefined, 0],
    ['wait=10', 10],
    ['WAIT=10', 10],
    ['respond-async, wait=10', 10],
    ['wait = 10', 10],
    ['wait="10"', 10],
    ['wait=10; because=slow', 10],
    ['handling=lenient; x="a, wait=3", wait=7', 7],
    ['x="wait=3, wait=4"', 0],
    ['wait=10, wait=20', 10],
    ['wait=61', 60],
    ['wait=999999999', 60],
    ['wait=0', 0],
    ['wait', 0],
    ['wait=', 0],
    ['wait=-1', 0],
    ['wait=1.5', 0],
    ['wait=soon', 0],
    ['wait=soon, wait=5', 0],
    ['=, ;;, "', 0],
  ])('%s is %i s', (header, seconds) => {
    expect(preferredWait(header)).toBe(seconds)
  })

  test('no header makes it throw or wait longer than a minute', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const seconds = preferredWait(header)
        expect(seconds).toBeGreaterThanOrEqual(0)
        expect(seconds).toBeLessThanOrEqual(60)
      }),
    )
  })
})

describe('If-None-Match', () => {
  test.each([
    ['"a.1"', true],
    ['W/"a.1"', true],
    ['"b.2", W/"a.1"', true],
    ['*', true],
    [' * ', true],
    ['"a.2"', false],
    ['a.1', false],
    ['', false],
    ['"a.1', false],
    // What proxies that compress make of it.
    ['"a.1-gzip"', true],
    ['W/"a.1-gzip"', true],
    ['"a.1-br"', true],
    ['"a.1-zstd"', true],
    ['"a.1-deflate"', true],
    ['"a.1--gzip"', true],
    ['"a.1;gzip"', true],
    ['"a.1-x-gzip"', true],
    ['"a.1"-gzip', true],
    ['"b.2-gzip", "a.1-gzip"', true],
    ['"a.2-gzip"', false],
    ['"a.1-gzip-gzip"', false],
    ['"a.1-other"', false],
    ['"a.1gzip"', false],
    ['"-gzip"', false],
  ])('%s', (header, matches) => {
    expect(matchesEtag(header, '"a.1"')).toBe(matches)
  })
})

describe('the canonical text of a body', () => {
  test('does not depend on the order of keys', () => {
    const shuffled = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shuffled)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, inner]) => [key, shuffled(inner)]),
      )
    }
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonical(shuffled(value))).toBe(canonical(value))
        expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('tells unequal bodies apart', () => {
    const texts = [
      { a: 1 },
      { a: '1' },
      { a: [1] },
      { a: null },
      {},
      [],
      { __proto__: 1 },
      JSON.parse('{"__proto__":1}'),
    ]
    expect(new Set(texts.map(canonical)).size).toBe(7)
    expect(canonical(JSON.parse('{"__proto__":{"x":1}}'))).toBe('{"__proto__":{"x":1}}')
  })
})

test('an idempotency key has 1 to 255 printable characters', () => {
  expect(idempotencyKey(undefined)).toBeUndefined()
  expect(idempotencyKey('order 17')).toBe('order 17')
  expect(idempotencyKey('k'.repeat(255))).toHaveLength(255)
  for (const bad of ['', 'k'.repeat(256), 'a\tb', 'caf\u00e9', ['a', 'b']]) {
    expect(() => idempotencyKey(bad)).toThrow(ProblemError)
  }
})

describe('a query', () => {
  const pathsOf = (read: ReadQuery<unknown>) => (read.ok ? 'accepted' : read.errors.map(({ path }) => path))

  test('is read with lists and defaults', () => {
    expect(readQuery(PollParameters, '')).toEqual({ ok: true, value: {} })
    expect(readQuery(PollParameters, 'after=&wait=20&history=1')).toEqual({
      ok: true,
      value: { after: '', wait: 20, history: true },
    })
    expect(
      readQuery(ListParameters.strict(), 'tag=a&tag=b%20c&status=queued&type=&full=0&limit=200'),
    ).toEqual({
      ok: true,
      value: { tag: ['a', 'b c'], status: ['queued'], type: [], full: false, limit: 200 },
    })
    expect(readQuery(SocketParameters, 'job=x&history=1&after=')).toEqual({
      ok: true,
      value: { job: 'x', history: true, after: '' },
    })
  })

  test.each([
    ['nope=1', ['nope']],
    ['__proto__=1', ['__proto__']],
    ['constructor=1', ['constructor']],
    ['after=a&after=b', ['after']],
    ['wait=61', ['wait']],
    ['wait=-1', ['wait']],
    ['wait=1.5', ['wait']],
    ['wait=', ['wait']],
    ['wait=NaN', ['wait']],
    ['history=yes', ['history']],
    ['wait=x&history=y', ['wait', 'history']],
  ])('%s is refused', (search, paths) => {
    expect(pathsOf(readQuery(PollParameters.strict(), search))).toEqual(paths)
  })

  test.each([
    ['limit=0', ['limit']],
    ['limit=201', ['limit']],
    ['limit=21&full=1', ['limit']],
    ['status=done', ['status']],
    ['type=Bad:Name', ['type']],
    ['page=a&page=b', ['page']],
  ])('%s of a list is refused', (search, paths) => {
    expect(pathsOf(readQuery(ListParameters.strict(), search))).toEqual(paths)
  })

  test.each([
    ['history=1', ['job']],
    ['job=', ['job']],
    ['job=x&history=yes', ['history']],
    ['job=x&wait=1', ['wait']],
    ['job=x&job=y', ['job']],
  ])('%s of a socket is refused', (search, paths) => {
    expect(pathsOf(readQuery(SocketParameters, search))).toEqual(paths)
  })
})
