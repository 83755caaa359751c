import type { z } from 'zod'

/**
 * What is wrong with input, for people: sentences that go on from the name of a field ("width must be at least 16"), the
 * same ones whoever finds it.
 */

export interface Finding {
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** What tells another form from the one that was meant: that it has another type, or is none of certain values. */
  readonly other: 'type' | 'value' | null
}

export const UNKNOWN_FIELD = 'unknown field'
export const MISSING = 'is missing'
const INVALID = 'is not valid'

const NOUNS: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  nan: 'a number',
  int: 'a whole number',
  integer: 'a whole number',
  boolean: 'true or false',
  null: 'null',
  array: 'an array',
  tuple: 'an array',
  object: 'an object',
  record: 'an object',
}

/** By the names of zod and those of JSON Schema. */
const FORMATS: Record<string, string> = {
  email: 'an email address',
  url: 'a URL',
  uri: 'a URL',
  uuid: 'a UUID',
  guid: 'a UUID',
  datetime: 'an ISO 8601 date and time',
  'date-time': 'an ISO 8601 date and time',
  date: 'an ISO 8601 date',
  time: 'an ISO 8601 time',
  duration: 'an ISO 8601 duration',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  json_string: 'a string of JSON',
}

/** `kinds` are types of JSON Schema, or of zod. */
export function mustBeOf(kinds: readonly string[]): string {
  if (kinds.includes('never')) return 'must be left out'
  return `must be ${either(kinds.map((kind) => NOUNS[kind] ?? kind))}`
}

const MOST_VALUES = 20

export function mustBeOne(values: readonly unknown[]): string {
  const shown = values.slice(0, MOST_VALUES).map(valueText)
  return `must be ${either(values.length > MOST_VALUES ? [...shown, '…'] : shown)}`
}

/** A word as it is, everything else as JSON. */
function valueText(value: unknown): string {
  return typeof value === 'string' && /^[\w.-]+$/.test(value) ? value : String(JSON.stringify(value))
}

/** The last one after an "or", each once. */
export function either(all: readonly string[]): string {
  const words = [...new Set(all)]
  const last = words.pop() ?? ''
  return words.length === 0 ? last : `${words.join(', ')} or ${last}`
}

type Sized = 'string' | 'array' | 'object'
const PARTS: Record<Sized, readonly [one: string, more: string]> = {
  string: ['character', 'characters'],
  array: ['entry', 'entries'],
  object: ['field', 'fields'],
}

/** Of what has parts. */
export function mustHave(sized: Sized, how: 'at least' | 'at most' | 'exactly', count: number): string {
  if (how === 'at least' && count === 1) return 'must not be empty'
  return `must have ${how} ${count} ${PARTS[sized][count === 1 ? 0 : 1]}`
}

export function mustBeAtLeast(least: number | bigint, isIncluded = true): string {
  return `must be ${isIncluded ? 'at least' : 'more than'} ${least}`
}

export function mustBeAtMost(most: number | bigint, isIncluded = true): string {
  return `must be ${isIncluded ? 'at most' : 'less than'} ${most}`
}

export function mustBeMultiple(of: number | bigint): string {
  return `must be a multiple of ${of}`
}

export function mustBeFormat(format: string): string {
  return `must be ${FORMATS[format] ?? `a valid ${format}`}`
}

const MOST_PATTERN = 100

export function mustMatch(pattern: string): string {
  const shown = pattern.replace(/^\/(.*)\/[a-z]*$/s, '$1')
  return `must match ${shown.length > MOST_PATTERN ? `${shown.slice(0, MOST_PATTERN)}…` : shown}`
}

/**
 * What to say of a value that fits none of several forms, which stand at `path`: what is wrong with the form that was meant, where
 * that can be told.
 */
export function fitsNone(path: readonly PropertyKey[], forms: readonly (readonly Finding[])[]): Finding[] {
  const ofType = forms.filter((form) => !form.some((one) => one.other === 'type' && isAt(one, path)))
  // A field of one value tells forms apart.
  const depth = path.length + 1
  const meant = ofType.filter(
    (form) => !form.some((one) => one.other === 'value' && one.path.length <= depth),
  )
  const [only, more] = meant.length > 0 ? meant : ofType
  if (only !== undefined && more === undefined) return [...only]
  const [first = [], ...others] = meant.length > 0 ? meant : forms
  const inAll = first.filter((one) => others.every((form) => form.some((other) => isSame(one, other))))
  if (inAll.length > 0) return inAll
  const other = first.find((one) => one.other !== null)
  const choices = forms.flatMap((form) => form.filter((one) => one.other !== null && isAt(one, other?.path)))
  if (other === undefined || choices.length < forms.length) {
    return [{ path, message: 'fits none of the forms that it may have', other: null }]
  }
  const said = choices.map(({ message }) => message.replace(/^must be /, ''))
  return [{ ...other, message: `must be ${either(said)}` }]
}

function isSame(one: Finding, other: Finding): boolean {
  return one.message === other.message && isAt(one, other.path)
}

function isAt({ path }: Finding, other: readonly PropertyKey[] | undefined): boolean {
  return path.map(String).join('.') === other?.map(String).join('.')
}

type ZodIssue = z.core.$ZodIssue

/** What zod found, of whichever copy of zod it is. A message that the schema has for it is left as it is. */
export function findingsOf(issue: ZodIssue, before: readonly PropertyKey[] = []): Finding[] {
  const path = [...before, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: UNKNOWN_FIELD, other: null }))
  }
  if (!isUnworded(issue)) return [{ path, message: issue.message, other: null }]
  if (issue.code === 'invalid_union' && issue.errors?.length > 0) {
    const forms = issue.errors.map((form) => form.flatMap((one) => findingsOf(one, path)))
    return fitsNone(path, forms)
  }
  const message = wordsFor(issue)
  return [{ path, message, other: message === MISSING ? null : (OTHER[issue.code] ?? null) }]
}

const OTHER: Partial<Record<string, Finding['other']>> = { invalid_type: 'type', invalid_value: 'value' }

/** What zod itself says, by the code of the issue, in any of its versions. */
const ZODS_WORDS: Partial<Record<string, RegExp>> = {
  invalid_type: /^(Invalid input: e|E)xpected |^Required$/,
  invalid_value: /^Invalid (input: expected|option: expected one of) /,
  too_small: /^Too small: expected /,
  too_big: /^Too big: expected /,
  not_multiple_of: /^Invalid number: must be a multiple of /,
  invalid_format: /^Invalid /,
  invalid_union: /^Invalid (input|discriminator value)/,
  invalid_key: /^Invalid key in /,
  invalid_element: /^Invalid value in /,
  custom: /^Invalid input$/,
}

const MISSES = /^Required$|received undefined$/

function isUnworded({ code, message }: ZodIssue): boolean {
  return ZODS_WORDS[code]?.test(message) === true
}

function wordsFor(issue: ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return MISSES.test(issue.message) ? MISSING : mustBeOf([issue.expected])
    case 'invalid_value':
      return mustBeOne(issue.values)
    case 'too_small':
    case 'too_big':
      return boundWords(issue)
    case 'not_multiple_of':
      return mustBeMultiple(issue.divisor)
    case 'invalid_format':
      return formatWords(issue)
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options) ? mustBeOne(issue.options) : INVALID
    default:
      return INVALID
  }
}

const SIZED: Record<string, Sized> = {
  string: 'string',
  array: 'array',
  set: 'array',
  map: 'array',
  object: 'object',
  record: 'object',
}

function boundWords(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const { code, origin, exact = false, inclusive = true } = issue
  const bound = code === 'too_small' ? issue.minimum : issue.maximum
  const sized = SIZED[origin]
  const how = exact ? 'exactly' : code === 'too_small' ? 'at least' : 'at most'
  if (sized !== undefined) return mustHave(sized, how, Number(bound))
  return code === 'too_small' ? mustBeAtLeast(bound, inclusive) : mustBeAtMost(bound, inclusive)
}

function formatWords(issue: z.core.$ZodIssueInvalidStringFormat): string {
  const { format } = issue
  if (format === 'starts_with' && 'prefix' in issue) return `must begin with ${JSON.stringify(issue.prefix)}`
  if (format === 'ends_with' && 'suffix' in issue) return `must end with ${JSON.stringify(issue.suffix)}`
  if (format === 'includes' && 'includes' in issue) return `must contain ${JSON.stringify(issue.includes)}`
  if (format === 'regex' && typeof issue.pattern === 'string') return mustMatch(issue.pattern)
  return mustBeFormat(format)
}
