import type { SubmittedJob } from '../engine/engine.ts'

/** The JSON of a `SubmitAnswer`. */
export function answerText(job: SubmittedJob, token: string | null): string {
  return answerAround(job, token).join(job.jobId)
}

/**
 * The JSON of a `BatchAnswer`; `tokens` are those of the jobs, in order, or null without authorization. As bytes, since a
 * long text would be copied twice on its way out; ASCII, like all that it consists of.
 */
export function batchAnswer(
  jobs: readonly SubmittedJob[],
  tokens: readonly (string | null)[] | null,
): Buffer<ArrayBuffer> {
  let last: SubmittedJob | undefined
  let around: string[] = []
  const answers = jobs.map((job, index) => {
    if (tokens !== null || last === undefined || !areAlike(job, last)) {
      around = answerAround(job, tokens?.[index] ?? null)
    }
    last = job
    return around.join(job.jobId)
  })
  return Buffer.from(`{"jobs":[${answers.join(',')}]}`, 'latin1')
}

/**
 * What stands around the id in an answer, which has it five times. Answers are put together so, rather than by
 * `JSON.stringify`, because a batch has up to a thousand of them, which mostly differ in nothing but their ids. Ids are
 * hexadecimal and a token is base64url with dots, so neither needs escaping.
 */
function answerAround({ status, type, createdAt, cursor }: SubmittedJob, token: string | null): string[] {
  const facts = JSON.stringify({ status, type, createdAt, cursor }).slice(1, -1)
  const secret = token === null ? '' : `"token":"${token}",`
  return [
    '{"jobId":"',
    `",${facts},${secret}"links":{"self":"/api/jobs/`,
    '","events":"/api/jobs/',
    '/events","cancel":"/api/jobs/',
    '/cancel","socket":"/ws?job=',
    '"}}',
  ]
}

/** Whether their answers differ in nothing but the id, tokens apart. */
function areAlike(one: SubmittedJob, other: SubmittedJob): boolean {
  return (
    one.status === other.status &&
    one.type === other.type &&
    one.createdAt === other.createdAt &&
    one.cursor === other.cursor
  )
}
