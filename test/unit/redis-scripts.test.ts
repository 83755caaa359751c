import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SCRIPTS } from '../../server/engine/redis/scripts.ts'
import { namesOf } from '../helpers/lua-names.ts'

const FOLDER = join(import.meta.dirname, '../../server/engine/redis/lua')

/** What Redis gives to every script. */
const KNOWN = new Set([
  ...['ARGV', 'KEYS', 'redis', 'ipairs', 'math', 'next', 'pairs', 'string', 'table', 'tonumber', 'unpack'],
])

const scripts = readdirSync(FOLDER).filter((file) => file.endsWith('.lua'))
const libraries = readdirSync(join(FOLDER, 'lib')).map((file) => file.replace('.lua', ''))

interface Part {
  readonly text: string
  readonly takes: readonly string[]
  readonly gives: readonly string[]
}

/** By `<library>`, what it defines, and by `<library>.<part>`. */
const parts = new Map<string, Part>()
for (const library of libraries) {
  const text = readFileSync(join(FOLDER, 'lib', `${library}.lua`), 'utf8')
  const [definitions = '', ...named] = text.split(/^--@part (\w+)\n/m)
  parts.set(library, part(definitions))
  for (let at = 0; at < named.length; at += 2) parts.set(`${library}.${named[at]}`, part(named[at + 1] ?? ''))
}

function part(text: string): Part {
  return { text, takes: said(text, 'Takes'), gives: said(text, 'Gives') }
}

/** `-- Takes call, prefix.`, over as many lines as it needs. */
function said(text: string, verb: string): string[] {
  const comment = [...text.matchAll(/^-- ?(.*)$/gm)].map(([, line]) => line).join('\n')
  const [, names = ''] = new RegExp(`^${verb} ([\\w,;\\s]+)\\.$`, 'm').exec(comment) ?? []
  return names.split(/[,;\s]+/).filter((name) => name !== '')
}

/** With what it is made of as its headers have it: what is taken is used, what is given defined. */
function bySaying(text: string): string {
  return text.replace(/^ *--@(?:include|run) ([\w.]+)$/gm, (_line, name: string) => {
    const { takes, gives } = parts.get(name) ?? part('')
    return [`f(${takes.join(', ')})`, gives.length > 0 ? `local ${gives.join(', ')}` : ''].join('\n')
  })
}

const sorted = (names: Iterable<string>) => [...names].sort()

describe('the libraries of the scripts', () => {
  test.each([...parts].filter(([, { text }]) => /^ *[^-\s]|^ *--@/m.test(text)))(
    '%s says which names it takes and which it gives',
    (_name, { text, takes, gives }) => {
      const { free, given } = namesOf(bySaying(text))
      const included = [...text.matchAll(/^--@(?:include|run) ([\w.]+)$/gm)].flatMap(
        ([, one = '']) => parts.get(one)?.gives ?? [],
      )
      const own = [...given].filter((name) => !included.includes(name))
      expect(sorted(takes)).toEqual(sorted([...free].filter((name) => !KNOWN.has(name) && name !== 'f')))
      expect(sorted(gives)).toEqual(sorted(own))
    },
  )

  test('are all used', () => {
    const texts = [
      ...scripts.map((file) => readFileSync(join(FOLDER, file), 'utf8')),
      ...[...parts.values()].map(({ text }) => text),
    ]
    const used = new Set(
      texts.flatMap((text) =>
        [...text.matchAll(/^ *--@(?:include|run) ([\w.]+)$/gm)].map(([, name]) => name),
      ),
    )
    const empty = (name: string) => !/^[^-\s]/m.test(parts.get(name)?.text ?? '')
    expect([...parts.keys()].filter((name) => !used.has(name) && !empty(name))).toEqual([])
  })
})

describe('every script', () => {
  test('is loaded', () => {
    expect(sorted(Object.keys(SCRIPTS))).toEqual(sorted(scripts.map((file) => file.replace('.lua', ''))))
  })

  test.each(Object.values(SCRIPTS))('$name defines every name before it uses it', ({ source }) => {
    expect(sorted([...namesOf(source).free].filter((name) => !KNOWN.has(name)))).toEqual([])
    expect(source).not.toMatch(/--@|\$[A-Z]/)
  })

  test.each(scripts)('%s says what it is called with, answers and tells', (file) => {
    const header = readFileSync(join(FOLDER, file), 'utf8').split(/^[^-]|^--@/m)[0] ?? ''
    expect([...header.matchAll(/^-- (KEYS|Reply|Events) /gm)].map(([, word]) => word)).toEqual([
      'KEYS',
      'Reply',
      'Events',
    ])
    expect(/^-- ARGV /m.test(header)).toBe(
      /\bARGV\b/.test(readFileSync(join(FOLDER, file), 'utf8').replace(header, '')),
    )
  })
})
