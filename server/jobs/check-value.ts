import type { StandardSchemaV1 } from '@standard-schema/spec'

/** What may be known at once: most schemas check without waiting, and then nothing waits for them. */
export type Awaitable<T> = T | Promise<T>

export interface Issue {
  /** Dotted, relative to the value; empty for the value itself. */
  readonly path: string
  readonly message: string
}

export type CheckedValue = { ok: true; value: unknown } | { ok: false; issues: Issue[] }

/** Holds a value to a schema: what the schema makes of it, or what is wrong with it. */
export function checkValue(standard: StandardSchemaV1 | undefined, value: unknown): Awaitable<CheckedValue> {
  if (standard === undefined) return { ok: true, value }
  const result = standard['~standard'].validate(value)
  return 'then' in result ? Promise.resolve(result).then(toChecked) : toChecked(result)
}

function toChecked(result: StandardSchemaV1.Result<unknown>): CheckedValue {
  if (result.issues === undefined) return { ok: true, value: result.value }
  return { ok: false, issues: result.issues.flatMap(toIssues) }
}

/** Of unknown fields zod names the object that they are in; whoever sent them looks for the fields. */
function toIssues(issue: StandardSchemaV1.Issue): Issue[] {
  const path = dotted(issue.path)
  if (
    !('code' in issue && issue.code === 'unrecognized_keys' && 'keys' in issue && Array.isArray(issue.keys))
  ) {
    return [{ path, message: issue.message }]
  }
  return issue.keys.map((key) => ({
    path: path === '' ? String(key) : `${path}.${key}`,
    message: 'unknown field',
  }))
}

function dotted(path: StandardSchemaV1.Issue['path']): string {
  const keys = (path ?? []).map((part) => (typeof part === 'object' ? part.key : part))
  return keys.map(String).join('.')
}
