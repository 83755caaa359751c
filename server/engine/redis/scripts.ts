import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A Lua script as Redis knows it. */
export interface Script {
  readonly name: string
  readonly source: string
  /** SHA-1 of the source, by which Redis runs what it has seen before. */
  readonly sha: string
}

const INCLUDE = /^--@include (\w+)$/gm

/** Reads `lua/<name>.lua`, its `--@include <part>` lines replaced by `lua/lib/<part>.lua`, and so on in these. */
function read(name: string): string {
  const source = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')
  return source.replace(INCLUDE, (_line, part: string) => read(`lib/${part}`))
}

function load(name: string): Script {
  const source = read(name)
  return { name, source, sha: createHash('sha1').update(source).digest('hex') }
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
