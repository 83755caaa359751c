import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { RETAINED_BYTES, RETAINED_EVENTS } from '../../../shared/limits.ts'
import { isTerminal, JOB_STATUSES } from '../../../shared/status.ts'
import { EVENTS } from '../job/events.ts'

/**
 * From so many characters on something goes over the connection for what is large, and is left out where much is read or
 * claimed: over a slow network, 5 MB/s say, whatever is sent behind it waits for a tenth of a second.
 */
export const LARGE = 512 * 1024
/** Digits for the jobs of a type that are completed, in the number that has those that run in front of them. */
export const COMPLETED_DIGITS = 12

const RUNS_ON = 'cancelling'

/** What scripts call by `$NAME`, so that a fact that this process knows as well stands in one place. */
const CONSTANTS: Readonly<Record<string, number | Readonly<Record<string, string | true>>>> = {
  RETAINED_EVENTS,
  RETAINED_BYTES,
  LARGE,
  A_RUN: 10 ** COMPLETED_DIGITS,
  /** A longer payload or result has a key of its own, which keeps the hash of a job small. */
  LARGEST_FIELD: 64,
  /** What is longer is not published: who needs it reads it. */
  LARGEST_MESSAGE: 64 * 1024,
  /** Bytes of payloads that have keys of their own from which on a claim has enough. */
  MOST_CLAIM_BYTES: 1024 * 1024,
  /** Workers that are asked in turn, so that those that cannot take a job never hold up who has it. */
  MOST_IDLE_LOOKED_AT: 32,
  /** It says by event word what a job's state is from then on. */
  STATUS_AFTER: Object.fromEntries(Object.entries(EVENTS).map(([word, { to }]) => [word, to ?? RUNS_ON])),
  TERMINAL: setOf(JOB_STATUSES.filter(isTerminal)),
  /** What has not ended, in the words of a job's state. */
  LIVE: setOf([...JOB_STATUSES.filter((status) => !isTerminal(status)), RUNS_ON]),
}

/** A Lua script as Redis knows it. */
export interface Script {
  readonly name: string
  readonly source: string
  /** SHA-1 of the source, by which Redis runs what it has seen before. */
  readonly sha: string
}

const DIRECTIVE = /^( *)--@(?:include (\w+)|run (\w+)\.(\w+))\n/gm
const PART = /^--@part (\w+)\n/m
const CONSTANT = /\$([A-Z][A-Z_]*)/g

/**
 * Puts a script together of lua/<name>.lua and the libraries in lua/lib. `--@include <library>` stands for what a library
 * defines: at the margin once, for the whole script, and indented for its block alone, so that nothing is made where it is
 * not needed. `--@run <library>.<part>` stands for a part of it that runs in place. Each says which names it takes and
 * gives, which a test holds it to.
 */
function load(name: string): Script {
  const source = assemble(read(name), new Set()).replace(CONSTANT, (_, constant: string) => literal(constant))
  return { name, source, sha: createHash('sha1').update(source).digest('hex') }
}

function assemble(text: string, present: Set<string>): string {
  return text.replace(DIRECTIVE, (_, indent: string, included?: string, library = '', part = '') => {
    const scope = indent === '' ? present : new Set(present)
    if (included === undefined) return assemble(partOf(library, part), scope)
    if (scope.has(included)) return ''
    scope.add(included)
    return assemble(partOf(included, ''), scope)
  })
}

/** The part of this name, or what the library defines. */
function partOf(library: string, part: string): string {
  const [definitions, ...parts] = read(`lib/${library}`).split(PART)
  const text = part === '' ? definitions : parts[parts.indexOf(part) + 1]
  if (text === undefined) throw new TypeError(`lua/lib/${library}.lua has no part ${part}`)
  return text
}

function read(name: string): string {
  return readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')
}

/** A constant as Lua writes it. */
function literal(name: string): string {
  const value = CONSTANTS[name]
  if (value === undefined) throw new TypeError(`a script asks for ${name}, which is no constant`)
  if (typeof value === 'number') return `${value}`
  const entries = Object.entries(value).map(([key, one]) => `${key} = ${one === true ? 'true' : `'${one}'`}`)
  return `{ ${entries.join(', ')} }`
}

function setOf(words: readonly string[]): Record<string, true> {
  return Object.fromEntries(words.map((word) => [word, true]))
}

export const SCRIPTS = {
  cancel: load('cancel'),
  claim: load('claim'),
  extend: load('extend'),
  format: load('format'),
  join: load('join'),
  list: load('list'),
  mend: load('mend'),
  pause: load('pause'),
  places: load('places'),
  positions: load('positions'),
  presences: load('presences'),
  promote: load('promote'),
  prune: load('prune'),
  queued: load('queued'),
  read: load('read'),
  register: load('register'),
  remove: load('remove'),
  report: load('report'),
  rescue: load('rescue'),
  retry: load('retry'),
  settle: load('settle'),
  submit: load('submit'),
  types: load('types'),
  upcoming: load('upcoming'),
  wait: load('wait'),
} as const

/**
 * The checked border to what Redis answers: text, whole numbers and lists of them. Anything else is a mistake in a
 * script, and throws.
 */

export function text(reply: unknown): string {
  if (typeof reply === 'string') return reply
  if (typeof reply === 'number') return String(reply)
  throw new TypeError(`Redis answered ${reply === null ? 'null' : typeof reply} where text was expected`)
}

export function whole(reply: unknown): number {
  const number = Number(text(reply))
  if (Number.isSafeInteger(number)) return number
  throw new TypeError('Redis answered something else where a whole number was expected')
}

export function list(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply
  throw new TypeError(`Redis answered ${reply === null ? 'null' : typeof reply} where a list was expected`)
}

/** One of a script's own words. */
export function word<const W extends string>(reply: unknown, words: readonly W[]): W {
  const found = words.find((one) => one === reply)
  if (found !== undefined) return found
  throw new TypeError(`Redis answered something else than ${words.join(', ')}`)
}
