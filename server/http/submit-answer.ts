import type { SubmittedJob } from '../engine/engine.ts'

/**
 * The JSON of a `SubmitAnswer`. It is written out rather than made by `JSON.stringify` because a batch has up to a
 * thousand of them. Nothing in it can need escaping: ids are hexadecimal, types and statuses are words of lower-case
 * letters, digits, `.`, `_` and `-`, times are ISO 8601, the epoch of a cursor and a token are base64url with dots.
 */
export function answerText(
  { jobId, status, type, createdAt, cursor }: SubmittedJob,
  token: string | null,
): string {
  const self = `/api/jobs/${jobId}`
  const links = `{"self":"${self}","events":"${self}/events","cancel":"${self}/cancel","socket":"/ws?job=${jobId}"}`
  const secret = token === null ? '' : `"token":"${token}",`
  return `{"jobId":"${jobId}","status":"${status}","type":"${type}","createdAt":"${createdAt}","cursor":"${cursor}",${secret}"links":${links}}`
}

/** The JSON of a `BatchAnswer`; `tokens` are those of the jobs, in order, or null without authorization. */
export function batchAnswerText(
  jobs: readonly SubmittedJob[],
  tokens: readonly (string | null)[] | null,
): string {
  const answers = jobs.map((job, index) => answerText(job, tokens?.[index] ?? null))
  return `{"jobs":[${answers.join(',')}]}`
}
