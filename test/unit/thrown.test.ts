import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { inSource, isOwn, withoutOwn } from '../../server/source-maps.ts'
import { describeThrown, errorText, isThrown, readThrown, stackText } from '../../server/thrown.ts'

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

describe('the text of what was thrown', () => {
  test('has the messages of its causes, in order, with their codes', () => {
    const refused = Object.assign(new Error('connect failed'), { code: 'ECONNREFUSED' })
    const lookup = Object.assign(new Error('getaddrinfo ENOTFOUND db'), { code: 'ENOTFOUND' })
    const all = new AggregateError([refused, lookup], 'no address answered', { cause: 'the network is down' })
    expect(describeThrown(new Error('fetch failed', { cause: all }))).toBe(
      [
        'fetch failed',
        'caused by: no address answered',
        'caused by: the network is down',
        'caused by: connect failed (ECONNREFUSED)',
        'caused by: getaddrinfo ENOTFOUND db',
      ].join('\n'),
    )
  })

  test('cuts cycles, and what would be more than 8 KiB', () => {
    const one = new Error('one')
    const two = new Error('two', { cause: one })
    one.cause = two
    expect(describeThrown(one)).toBe('one\ncaused by: two')
    const many = new AggregateError(
      Array.from({ length: 10_000 }, (_, n) => new Error(`${n} ${'ä'.repeat(1000)}`)),
    )
    expect(Buffer.byteLength(describeThrown(many))).toBeLessThanOrEqual(8192)
    expect(describeThrown(many)).toMatch(/^AggregateError\ncaused by: 0 ä/)
    expect(Buffer.byteLength(stackText(readThrown(many)))).toBeLessThanOrEqual(32 * 1024)
  })

  test('takes nothing from a cause that is no error and has no message', () => {
    expect(describeThrown(new Error('refused', { cause: { password: 'hunter2' } }))).toBe('refused')
  })

  test.each<[string, () => unknown]>([
    ['a revoked proxy', revoked],
    ['an error whose cause is a revoked proxy', () => new Error('outer', { cause: revoked() })],
    ['an aggregate of revoked proxies', () => new AggregateError([revoked(), revoked()], 'outer')],
    [
      'an aggregate whose errors are a revoked proxy',
      () => Object.assign(new AggregateError([]), { errors: revoked() }),
    ],
    ['nothing', () => undefined],
    ['a symbol', () => Symbol('x')],
    ['a function', () => () => 1],
    ['a null prototype', () => Object.create(null)],
  ])('can be had of %s', (_what, make) => {
    const thrown = readThrown(make())
    expect(errorText(thrown)).toMatch(/./)
    expect(structuredClone(thrown)).toEqual(thrown)
    expect(isThrown(make(), TypeError)).toBe(false)
  })
})

describe('the stack of what was thrown', () => {
  test('is its name, its text and its frames, then those of its causes', () => {
    const lines = stackText(
      readThrown(new TypeError('outer\nsecond line', { cause: new RangeError('inner') })),
    ).split('\n')
    expect(lines.slice(0, 2)).toEqual(['TypeError: outer', 'second line'])
    expect(lines[2]).toMatch(/^ {4}at .*thrown\.test\.ts:\d+:\d+/)
    expect(lines).toContain('caused by: RangeError: inner')
  })

  test('has nothing of what somebody else wrote into it', () => {
    const error = new Error('short')
    error.stack = `Error: short { payload: 'secret' }\n    at run (file:///jobs.mjs:1:2)\nsecret`
    expect(stackText(readThrown(error))).toBe('Error: short\n    at run (file:///jobs.mjs:1:2)')
  })

  test('is told in terms of source where there is a map: beside the file, or in it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'jobcast-maps-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const map = JSON.stringify({ version: 3, sources: ['src/a.ts'], names: [], mappings: 'AAIE' })
    const inline = `data:application/json;base64,${Buffer.from(map).toString('base64')}`
    await writeFile(join(folder, 'beside.js'), `x\n//# sourceMappingURL=beside.js.map`)
    await writeFile(join(folder, 'beside.js.map'), map)
    await writeFile(join(folder, 'within.cjs'), `x\n//# sourceMappingURL=${inline}\n`)
    await writeFile(join(folder, 'broken.js'), 'x\n//# sourceMappingURL=nowhere.map')
    const { href } = pathToFileURL(`${folder}/`)
    expect(inSource(`Error: x\n    at run (${href}beside.js:1:1)\n    at async ${href}beside.js:1:1`)).toBe(
      `Error: x\n    at run (${href}src/a.ts:5:3)\n    at async ${href}src/a.ts:5:3`,
    )
    expect(inSource(`    at run (${folder}/within.cjs:1:1)`)).toBe(`    at run (${href}src/a.ts:5:3)`)
    const unmapped = [`${href}broken.js:1:1`, `${href}gone.js:1:1`, 'node:events:1:2', '<anonymous>']
    for (const place of unmapped) expect(inSource(`    at run (${place})`)).toBe(`    at run (${place})`)
  })

  test('tells whose code it was, and leaves our own out where there is other', () => {
    const own = `    at run (${new URL('../../server/worker/execution.ts', import.meta.url).href}:1:2)`
    const other = '    at handler (file:///srv/jobs.mjs:1:2)'
    const node = '    at emit (node:events:1:2)'
    expect([isOwn(`${node}\n${own}\n${other}`), isOwn(`${other}\n${own}`), isOwn(node)]).toEqual([
      true,
      false,
      false,
    ])
    expect(withoutOwn(`Error: x\n${own}\n${other}\n${own}`)).toBe(`Error: x\n${other}`)
    expect(withoutOwn(`Error: x\n${node}\n${own}`)).toBe(`Error: x\n${node}\n${own}`)
  })
})
