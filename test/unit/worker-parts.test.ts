import { Readable } from 'node:stream'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { JsonText, type RunEvent } from '../../server/engine/engine.ts'
import { defineJob } from '../../server/jobs/define-job.ts'
import { cutText, readThrown } from '../../server/thrown.ts'
import { lostOnTheWay } from '../../server/worker/cloneable.ts'
import { checkJson } from '../../server/worker/json.ts'
import { ReportBuffer } from '../../server/worker/reports.ts'
import { Slots } from '../../server/worker/slots.ts'
import { Statistics } from '../../server/worker/statistics.ts'
import { afterFailure, classifyThrown } from '../../server/worker/steps.ts'
import { RETAINED_BYTES, RETAINED_EVENTS } from '../../shared/limits.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { aContext } from '../helpers/a-run.ts'

const log = (line: string): RunEvent => ({ kind: 'log', data: { level: 'info', line } })
const progress = (percent: number): RunEvent => ({ kind: 'progress', data: { percent, note: null } })
/** As the buffer gives it out: the n-th event of its run. */
const nth = (n: number, event: RunEvent): RunEvent => ({ ...event, n })

describe('cutText', () => {
  test.each([
    ['short', 8192, 'short'],
    ['abcdef', 3, 'abc'],
    ['äöü', 5, 'äö'],
    ['a😀b', 4, 'a'],
    ['a😀b', 5, 'a😀'],
    ['', 0, ''],
  ])('cuts %j to %i bytes: %j', (text, bytes, cut) => {
    expect(cutText(text, bytes)).toBe(cut)
  })
})

/** What is JSON, as its text. */
const textOf = (json: unknown) => ({ ok: true, json: new JsonText(JSON.stringify(json)) })

describe('checkJson', () => {
  test('takes what JSON takes, and measures it in bytes', () => {
    const value = { at: new Date(0), left: undefined, list: [1, 'ä', null, true] }
    const text = '{"at":"1970-01-01T00:00:00.000Z","list":[1,"ä",null,true]}'
    expect(checkJson(value)).toEqual({ ok: true, json: { text, bytes: text.length + 1 } })
  })

  class Point {
    readonly x = 1
    readonly #hidden = 2
    get hidden() {
      return this.#hidden
    }
  }
  class Secret {
    readonly #hidden = 2
    get hidden() {
      return this.#hidden
    }
  }
  class Celsius extends Map {
    toJSON() {
      return 'warm'
    }
  }

  test.each<[unknown, unknown]>([
    [new URL('http://a/b'), 'http://a/b'],
    [Buffer.from('a'), { type: 'Buffer', data: [97] }],
    [new Point(), { x: 1 }],
    [new Celsius(), 'warm'],
    [{ toJSON: () => null }, null],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [Object.create(null), {}],
    [runInNewContext('({ a: [{}] })'), { a: [{}] }],
    [
      [Object('boxed'), Object(1), Object(true)],
      ['boxed', 1, true],
    ],
    [{ same: [{}, {}], a: undefined, [Symbol('s')]: 1 }, { same: [{}, {}] }],
  ])('takes %o as JSON.stringify does', (value, json) => {
    expect(checkJson(value)).toEqual(textOf(json))
    expect(checkJson([{ value }])).toEqual(textOf([{ value: json }]))
  })

  test.each<[what: string, value: unknown]>([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a bigint', 1n],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['NaN', Number.NaN],
    ['NaN', Object(Number.NaN)],
    ['an invalid Date', new Date('never')],
    ['a Map', new Map([[1, 2]])],
    ['a Map', runInNewContext('new Map()')],
    ['a Set', new Set()],
    ['a WeakMap', new WeakMap()],
    ['a WeakSet', new WeakSet()],
    ['an Error', Object.assign(new Error('e'), { code: 'E' })],
    ['a TypeError', new TypeError('e')],
    ['a DOMException', new DOMException('e')],
    ['a RegExp', /r/],
    ['a Promise that nobody awaited', Promise.resolve(1)],
    [
      'a Query that nobody awaited',
      new (class Query {
        readonly table = 't'
        // biome-ignore lint/suspicious/noThenProperty: as the lazy queries of database libraries are.
        then() {}
      })(),
    ],
    ['a Response', new Response('')],
    // As a bundler leaves a class that stands in for it.
    ['a Response', new (class e extends Response {})('')],
    ['a Headers', new Headers()],
    ['a Blob', new Blob([])],
    ['a URLSearchParams', new URLSearchParams('a=1')],
    ['a ReadableStream', new ReadableStream()],
    ['a Readable', Readable.from(['a'])],
    ['a Generator', (function* () {})()],
    ['an AsyncGenerator', (async function* () {})()],
    ['an Array Iterator', [1].values()],
    ['a Uint8Array', new Uint8Array(1)],
    ['a Float64Array', new Float64Array(0)],
    ['an ArrayBuffer', new ArrayBuffer(1)],
    ['a DataView', new DataView(new ArrayBuffer(1))],
    ['a Secret', new Secret()],
    ['a Parcel', new (class Parcel$1 {})()],
  ])('refuses %s, by name and path', (what, value) => {
    expect(checkJson(value)).toEqual({ ok: false, problem: `is ${what}, which is not JSON` })
    const problem = `holds ${what} at "rows.1.of", which is not JSON`
    expect(checkJson({ ok: [{}], rows: [{ of: [1] }, { of: value }] })).toEqual({ ok: false, problem })
    // What stands beside it as an object of its own, JSON all the same, changes no path.
    const beside = { left: new Point(), at: new Date(0), rows: [new Point(), { of: value }] }
    expect(checkJson(beside)).toEqual({ ok: false, problem })
  })

  test('refuses undefined where it would become null, and nowhere else', () => {
    expect(checkJson(undefined)).toEqual({ ok: false, problem: 'is undefined, which is not JSON' })
    expect(checkJson({ a: undefined })).toEqual(textOf({}))
    const hole = [1]
    hole[2] = 3
    for (const list of [[1, undefined], hole, [1, { toJSON: () => undefined }]]) {
      expect(checkJson({ list })).toEqual({
        ok: false,
        problem: 'holds undefined at "list.1", which is not JSON',
      })
    }
  })

  test('survives what throws when it is looked at, and what has no end', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    const circular: Record<string, unknown> = {}
    circular.self = circular
    let deep: unknown = []
    for (let depth = 0; depth < 100_000; depth += 1) deep = [deep]
    for (const value of [proxy, circular, deep]) {
      expect(checkJson(value)).toMatchObject({ ok: false })
      expect(checkJson({ at: new Date(0), value })).toMatchObject({ ok: false })
    }
  })
})

describe('lostOnTheWay', () => {
  class Money {
    readonly cents = 1
  }

  test.each<[lost: string, value: unknown]>([
    ['a URL', new URL('http://a')],
    ['a Money', new Money()],
    ['a Buffer', Buffer.from('a')],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['an Error', new Error('e')],
    ['a Celsius', new (class Celsius extends Map {})()],
    ['an Object', Object.create(null)],
    ['an Object', { [Symbol('s')]: 1 }],
  ])('finds %s', (lost, value) => {
    expect(lostOnTheWay(value)).toBe(`is ${lost}`)
    expect(lostOnTheWay({ a: [1, { b: value }] })).toBe(`holds ${lost} at "a.1.b"`)
    expect(lostOnTheWay(new Map([['k', new Set([value])]]))).toBe(`holds ${lost} at "k.0"`)
  })

  test('finds nothing where the copy is the same', () => {
    const value = {
      list: [1n, undefined, null, Number.NaN, 'a', true],
      at: new Date(Number.NaN),
      map: new Map<unknown, unknown>([[{ a: 1 }, new Set([/r/g])]]),
      bytes: [new Uint8Array([1]), new DataView(new ArrayBuffer(1)), new BigInt64Array(1)],
      self: null as unknown,
    }
    value.self = value
    expect(lostOnTheWay(value)).toBeNull()
    expect(structuredClone(value)).toEqual(value)
  })

  test('of what throws when it is looked at says so', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    expect(lostOnTheWay({ proxy })).toBe('cannot be copied')
  })
})

describe('ReportBuffer', () => {
  test('keeps call order, a later progress in place of an earlier one', () => {
    const buffer = new ReportBuffer()
    for (const event of [progress(1), log('a'), progress(2), log('b')]) buffer.add(event, 10)
    expect(buffer.take()).toEqual({
      events: [nth(2, log('a')), nth(3, progress(2)), nth(4, log('b'))],
      bytes: 30,
    })
    expect(buffer.isEmpty).toBe(true)
  })

  test('gives up to so many bytes, and at least one event', () => {
    const buffer = new ReportBuffer()
    for (const line of ['a', 'b', 'c']) buffer.add(log(line), 100)
    expect(buffer.take(250).events).toEqual([nth(1, log('a')), nth(2, log('b'))])
    expect(buffer.take(1).events).toEqual([nth(3, log('c'))])
    expect(buffer.take().events).toEqual([])
  })

  test('takes back what could not be sent, in front, but no progress that is outdated', () => {
    const buffer = new ReportBuffer()
    for (const event of [log('a'), progress(1)]) buffer.add(event, 10)
    const taken = buffer.take()
    for (const event of [log('b'), progress(2)]) buffer.add(event, 10)
    buffer.putBack(taken)
    expect(buffer.take()).toEqual({
      events: [nth(1, log('a')), nth(3, log('b')), nth(4, progress(2))],
      bytes: 30,
    })
  })

  test('keeps a returned progress that nothing has replaced, until something does', () => {
    const buffer = new ReportBuffer()
    buffer.add(progress(1), 10)
    buffer.putBack(buffer.take())
    buffer.add(log('a'), 10)
    buffer.add(progress(2), 10)
    expect(buffer.take().events).toEqual([nth(2, log('a')), nth(3, progress(2))])
  })

  test('keeps the newest of too many, and the progress', () => {
    const buffer = new ReportBuffer()
    buffer.add(progress(1), 10)
    for (let line = 1; line <= 10_000; line += 1) buffer.add(log(String(line)), 10)
    const { events } = buffer.take()
    expect(events.length).toBeLessThanOrEqual(2 * RETAINED_EVENTS + 1)
    expect(events[0]).toEqual(nth(1, progress(1)))
    expect(events.at(-1)).toEqual(nth(10_001, log('10000')))
  })

  test('keeps the newest of too much', () => {
    const buffer = new ReportBuffer()
    for (let line = 1; line <= 100; line += 1) buffer.add(log(String(line)), 256 * 1024)
    const { events, bytes } = buffer.take()
    expect(bytes).toBeLessThanOrEqual(2 * RETAINED_BYTES)
    expect(events.at(-1)).toEqual(nth(100, log('100')))
  })
})

describe('Slots', () => {
  test('count in all and by type', () => {
    const slots = new Slots(3, [
      defineJob({ type: 'one', concurrency: 1, run: () => 0 }),
      defineJob({ type: 'any', run: () => 0 }),
    ])
    expect(slots.room(3).types).toEqual([
      { type: 'one', limit: 1 },
      { type: 'any', limit: 3 },
    ])
    slots.take('one')
    slots.start()
    expect(slots.free).toBe(2)
    expect(slots.room(2)).toEqual({ limit: 2, types: [{ type: 'any', limit: 2 }] })
    slots.give('one')
    slots.end()
    expect(slots.free).toBe(3)
    expect(slots.room(1).types).toEqual([
      { type: 'one', limit: 1 },
      { type: 'any', limit: 1 },
    ])
    expect(slots.room(0)).toEqual({ limit: 0, types: [] })
  })
})

describe('Statistics', () => {
  test('know nothing at first, then the middle and the slowest', () => {
    const statistics = new Statistics()
    expect([statistics.waitMs, statistics.runMs, statistics.ratePerSecond]).toEqual([null, null, 0])
    for (let ms = 1; ms <= 100; ms += 1) statistics.settled(ms)
    statistics.claimed(null)
    statistics.claimed(7)
    expect(statistics.runMs).toEqual({ p50: 51, p99: 100 })
    expect(statistics.waitMs).toEqual({ p50: 7, p99: 7 })
    expect(statistics.ratePerSecond).toBe(100)
  })

  test('forget what is old', () => {
    const statistics = new Statistics()
    for (let ms = 0; ms < 512; ms += 1) statistics.settled(1)
    for (let ms = 0; ms < 512; ms += 1) statistics.settled(9)
    expect(statistics.runMs).toEqual({ p50: 9, p99: 9 })
  })
})

describe('afterFailure', () => {
  const failure = classifyThrown(new Error('broken'))
  const policy = { ...DEFAULT_OPTIONS, maxAttempts: 3 }

  test('tries again after the backoff while attempts are left', () => {
    const outcome = afterFailure({ attempt: 2, policy }, failure, () => 0)
    expect(outcome).toEqual({ kind: 'retry', error: 'broken', errorCode: 'handler_error', delayMs: 2000 })
  })

  test('fails after the last attempt, and at once where no attempt would help', () => {
    expect(afterFailure({ attempt: 3, policy }, failure, () => 0)).toMatchObject({ kind: 'failed' })
    const final = { ...failure, final: true }
    expect(afterFailure({ attempt: 1, policy }, final, () => 0)).toMatchObject({ kind: 'failed' })
  })
})

describe('the context', () => {
  function listen() {
    const { context, emitted } = aContext()
    return { emitted, ...context }
  }

  test('works taken apart, clamps percents, and shows other values than lines as text', () => {
    const { emitted, progress, log } = listen()
    progress(-5)
    progress(101, 'over')
    // A module in JavaScript may log anything.
    Reflect.apply(log, undefined, [{ width: 3 }])
    expect(emitted.map(({ data }) => data)).toEqual([
      { percent: 0, note: null },
      { percent: 100, note: 'over' },
      { level: 'info', line: '{ width: 3 }' },
    ])
  })

  test.each([
    ['progress', ['7']],
    ['progress', [Number.NaN]],
    ['progress', [1, 2]],
    ['log', ['line', 'loud']],
    ['chunk', [undefined]],
  ] as const)('%s(%j) is a TypeError', (name, args) => {
    const context = listen()
    const misuse = () => Reflect.apply(context[name], undefined, args)
    expect(misuse).toThrow(TypeError)
    expect(context.emitted).toEqual([])
    try {
      misuse()
    } catch (error) {
      // Where it was called, and nothing of ours.
      expect(readThrown(error).frames).toMatch(/^ {4}at (?:Reflect|misuse)/)
    }
  })
})
