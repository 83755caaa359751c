/**
 * What callers may pass. Mistakes are `TypeError`s at the call: on a connection that others share they would be answered late, in
 * words that name no call, and at their cost.
 */

/** What a value must be, in words and as a test. */
export interface Rule {
  readonly is: (value: unknown) => boolean
  readonly says: string
  /** It must not be repeated in an error. */
  readonly isSecret?: true
}

export const YES_OR_NO: Rule = { is: (value) => typeof value === 'boolean', says: 'true or false' }
export const FUNCTION: Rule = { is: (value) => typeof value === 'function', says: 'a function' }
export const TEXT: Rule = textUpTo(1000)
/** Longer ones fit neither a frame nor a header. */
export const CREDENTIAL: Rule = {
  is: (value) => typeof value === 'string' && /^[\x21-\x7e]{1,4096}$/.test(value),
  says: 'a string of up to 4,096 visible ASCII characters',
  isSecret: true,
}
export const SIGNAL: Rule = {
  is: (value) => typeof value === 'object' && value !== null && 'aborted' in value,
  says: 'an AbortSignal',
}

/** That it is whole is the server's to know: it has come from there. */
export const JOB: Rule = {
  is: (value) => typeof value === 'object' && value !== null && 'cursor' in value && 'payload' in value,
  says: 'a job, as get resolves to',
}

export function textUpTo(length: number): Rule {
  return {
    is: (value) => typeof value === 'string' && value !== '' && value.length <= length,
    // The first number that `toLocaleString` writes takes ten milliseconds, at every start.
    says: `a string of 1–${String(length).replace(/\B(?=(\d{3})+$)/g, ',')} characters`,
  }
}

export function wholeNumber(from: number, to: number): Rule {
  return {
    is: (value) => Number.isInteger(value) && Number(value) >= from && Number(value) <= to,
    says: `a whole number from ${from} to ${to}`,
  }
}

export function listOf(item: Rule, from: number, to: number): Rule {
  return {
    is: (value) => Array.isArray(value) && value.length >= from && value.length <= to && value.every(item.is),
    says: `a list of ${from} to ${to}, each ${item.says}`,
  }
}

export function oneOrList(item: Rule, to: number): Rule {
  const list = listOf(item, 0, to)
  return { is: (value) => item.is(value) || list.is(value), says: `${item.says}, or ${list.says}` }
}

/** Throws where the value is not what it must be; `name` is of the call, and of the option where it is one. */
export function check(name: string, value: unknown, { is, says, isSecret }: Rule): void {
  if (is(value)) return
  throw new TypeError(`${name} must be ${says}; it is ${isSecret ? kindOf(value) : shown(value)}`)
}

/** Throws for an option that there is not, and for one that is not what it must be. What is undefined is left out. */
export function checkOptions(call: string, options: unknown, rules: Readonly<Record<string, Rule>>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${call} takes an object of options; it was given ${shown(options)}`)
  }
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (rule === undefined) throw new TypeError(`${call}: ${unknownName(name, Object.keys(rules))}`)
    if (value !== undefined) check(`${call}: ${name}`, value, rule)
  }
}

/** Throws where no job can have this id. */
export function checkJobId(call: string, jobId: unknown): void {
  check(`${call}: the id of the job`, jobId, TEXT)
}

function unknownName(name: string, known: readonly string[]): string {
  const meant = known.find((one) => one.toLowerCase() === name.toLowerCase())
  const hint = meant === undefined ? `there are ${known.join(', ')}` : `is ${meant} meant?`
  return `there is no option ${name}; ${hint}`
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (Array.isArray(value) && value.length <= 10) return `[${value.map(shownInside).join(', ')}]`
  return ['number', 'boolean', 'bigint'].includes(typeof value) ? String(value) : kindOf(value)
}

function shownInside(item: unknown): string {
  return Array.isArray(item) ? kindOf(item) : shown(item)
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null || value === '') return value === '' ? 'empty' : String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return 'a list'
  if ('then' in value) return 'a promise, to be awaited first'
  return 'jobId' in value ? 'an object, whose jobId may be meant' : 'an object'
}
