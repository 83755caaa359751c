import type { StandardSchemaV1 } from '@standard-schema/spec'

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
  const result = standard['~standard'].validate(value)
  return isObject(result) && 'then' in result ? Promise.resolve(result).then(toChecked) : toChecked(result)
}

function toChecked(result: StandardSchemaV1.Result<unknown>): CheckedValue {
  if (!isObject(result)) throw new TypeError('the schema answered with no result')
  const { issues } = result
  if (issues === undefined) return { ok: true, value: result.value }
  const found = [...issues].flatMap(toIssues)
  return { ok: false, issues: found.length > 0 ? found : [{ path: '', message: 'is not valid' }] }
}

/** A schema written in JavaScript may answer with anything. */
function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Of unknown fields zod names the object that they are in; whoever sent them looks for the fields. */
function toIssues(issue: StandardSchemaV1.Issue): Issue[] {
  const path = dotted(issue.path)
  if (
    !('code' in issue && issue.code === 'unrecognized_keys' && 'keys' in issue && Array.isArray(issue.keys))
  ) {
    return [{ path, message: typeof issue.message === 'string' ? issue.message : 'is not valid' }]
  }
  return issue.keys.map((key) => ({
    path: path === '' ? String(key) : `${path}.${key}`,
    message: 'unknown field',
  }))
}

function dotted(path: StandardSchemaV1.Issue['path']): string {
  const keys = [...(path ?? [])].map((part) => (isObject(part) ? part.key : part))
  return keys.map(String).join('.')
}
