import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { z } from 'zod'
import { findingsOf } from '../../shared/words.ts'

/** What may be known at once: most schemas check without waiting, and then nothing waits for them. */
export type Awaitable<T> = T | Promise<T>

export interface Issue {
  /** Dotted, relative to the value; empty for the value itself. */
  readonly path: string
  readonly message: string
}

export type CheckedValue = { ok: true; value: unknown } | { ok: false; issues: Issue[] }

/**
 * Holds a value to a schema: what the schema makes of it, or what is wrong with it. Throws, or rejects, where the schema
 * does, or answers with what is no result; a promise of it that is never kept is not kept here either.
 */
export function checkValue(standard: StandardSchemaV1 | undefined, value: unknown): Awaitable<CheckedValue> {
  if (standard === undefined) return { ok: true, value }
  const { vendor } = standard['~standard']
  const result = standard['~standard'].validate(value)
  return isObject(result) && 'then' in result
    ? Promise.resolve(result).then((later) => toChecked(later, vendor))
    : toChecked(result, vendor)
}

/** More are of no help to anybody, and a hostile value can have as many as it has parts. */
const MOST_ISSUES = 1000

function toChecked(result: StandardSchemaV1.Result<unknown>, vendor: string): CheckedValue {
  if (!isObject(result)) throw new TypeError('the schema answered with no result')
  const { issues } = result
  if (issues === undefined) return { ok: true, value: result.value }
  const found = [...issues].slice(0, MOST_ISSUES).flatMap((issue) => toIssues(issue, vendor))
  return { ok: false, issues: found.length > 0 ? found : [{ path: '', message: 'is not valid' }] }
}

/** A schema written in JavaScript may answer with anything. */
function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function toIssues(issue: StandardSchemaV1.Issue, vendor: string): Issue[] {
  if (vendor === 'zod' && 'code' in issue) {
    return findingsOf(issue as z.core.$ZodIssue).map(({ path, message }) => ({ path: dotted(path), message }))
  }
  const { message } = issue
  return [{ path: dotted(issue.path), message: typeof message === 'string' ? message : 'is not valid' }]
}

function dotted(path: StandardSchemaV1.Issue['path']): string {
  const keys = [...(path ?? [])].map((part) => (isObject(part) ? part.key : part))
  return keys.map(String).join('.')
}
