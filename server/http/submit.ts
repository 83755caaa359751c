import { z } from 'zod'
import type { SubmitAnswer } from '../../shared/api.ts'
import { MAX_BATCH } from '../../shared/limits.ts'
import type { Auth, Caller } from '../auth/auth.ts'
import type { Engine, NewJob, SubmitReceipt, SubmitRequest, SubmittedJob } from '../engine/engine.ts'
import { OutcomeUnknown } from '../engine/errors.ts'
import type { Events } from '../events.ts'
import type { Hub } from '../gateway/hub.ts'
import { awaitTerminal } from '../gateway/long-poll.ts'
import type { Awaitable } from '../jobs/define-job.ts'
import type { TypeRegistry } from '../jobs/registry.ts'
import { type JsonBody, readJson } from './body.ts'
import { idempotencyKey, idempotencyOf } from './idempotency.ts'
import { preferredWait } from './prefer.ts'
import { explain, type FieldError, outcomeUnknown, ProblemError } from './problem.ts'
import { NoQuery } from './query.ts'
import { type Call, json, type Route, route } from './route.ts'
import { checkSubmission, type Refused, refusal, toErrors } from './submission.ts'

export interface SubmitDeps {
  readonly engine: Engine
  readonly registry: TypeRegistry
  readonly hub: Hub
  readonly auth: Auth
  readonly events: Events
  /** Of a payload's JSON; a batch body may have twice as much. */
  readonly maxBytes: number
  readonly defaultType: string | null
}

/** Room in a body for what is not payload: type, options, white space. */
const ENVELOPE_BYTES = 64 * 1024

const BatchEnvelope = z.strictObject({ jobs: z.array(z.unknown()).min(1).max(MAX_BATCH) })

export function submitRoutes(deps: SubmitDeps): Route[] {
  const access = { store: 'submit' } as const
  return [
    route({
      method: 'POST',
      path: '/api/jobs',
      access,
      query: NoQuery,
      handle: (call) => submitOne(deps, call, null),
    }),
    route({
      method: 'POST',
      path: '/api/jobs/submit',
      access,
      query: NoQuery,
      handle: (call) => submitOne(deps, call, deps.defaultType),
    }),
    route({
      method: 'POST',
      path: '/api/jobs/batch',
      access,
      query: NoQuery,
      handle: (call) => submitBatch(deps, call),
    }),
  ]
}

async function submitOne(
  deps: SubmitDeps,
  { context, caller }: Call<unknown>,
  defaultType: string | null,
): Promise<Response> {
  const { headers } = context.env.incoming
  const key = idempotencyKey(headers['idempotency-key'])
  const body = await readJson(context, deps.maxBytes + ENVELOPE_BYTES)
  const checked = await checkSubmission(body.value, { ...rulesFor(deps, body), defaultType })
  if (!checked.ok) throw refusal(checked)
  const receipt = await store(deps, 'one', requestFor([checked.job], key, caller, body))
  const submitted = receipt.jobs[0]
  if (submitted === undefined) throw new Error('the store answered a submission with no job')

  const answerHeaders = { location: `/api/jobs/${submitted.jobId}`, ...replayHeader(receipt) }
  const waitS = preferredWait(asText(headers.prefer))
  if (waitS > 0) {
    const job = await awaitTerminal(deps.hub, submitted.jobId, waitS * 1000, context.req.raw.signal)
    if (job !== null) return json(200, job, { ...answerHeaders, 'preference-applied': `wait=${waitS}` })
  }
  const answer = toAnswer(
    submitted,
    deps.auth.enabled ? await deps.auth.issue(caller, submitted.jobId) : null,
  )
  return json(202, answer, answerHeaders)
}

async function submitBatch(deps: SubmitDeps, { context, caller }: Call<unknown>): Promise<Response> {
  const key = idempotencyKey(context.env.incoming.headers['idempotency-key'])
  const body = await readJson(context, deps.maxBytes * 2)
  const jobs = await checkBatch(deps, body)
  const receipt = await store(deps, 'batch', requestFor(jobs, key, caller, body))
  return json(202, { jobs: await toAnswers(deps.auth, caller, receipt.jobs) }, replayHeader(receipt))
}

/** All jobs of the batch; throws what is wrong with any of them, under the code of the first. */
async function checkBatch(deps: SubmitDeps, body: JsonBody): Promise<NewJob[]> {
  const envelope = BatchEnvelope.safeParse(body.value)
  if (!envelope.success) {
    const errors = envelope.error.issues.flatMap(toErrors)
    throw new ProblemError('invalid_request', explain('the batch is not valid', errors), { errors })
  }
  const rules = { ...rulesFor(deps, body), defaultType: null }
  const jobs: NewJob[] = []
  const errors: FieldError[] = []
  let first: Refused | undefined
  for (const [index, submission] of envelope.data.jobs.entries()) {
    const checking = checkSubmission(submission, rules)
    const checked = checking instanceof Promise ? await checking : checking
    if (checked.ok) {
      jobs.push(checked.job)
      continue
    }
    first ??= checked
    for (const { path, message } of checked.errors) {
      errors.push({ path: path === '' ? `jobs.${index}` : `jobs.${index}.${path}`, message })
    }
  }
  if (first !== undefined) throw refusal({ ...first, errors })
  return jobs
}

/** A body that is small enough as a whole holds no payload that is too large. */
function rulesFor({ registry, maxBytes }: SubmitDeps, body: JsonBody) {
  return { registry, maxPayloadBytes: body.bytes > maxBytes ? maxBytes : null }
}

function requestFor(
  jobs: readonly NewJob[],
  key: string | undefined,
  caller: Caller,
  body: JsonBody,
): SubmitRequest {
  return key === undefined ? { jobs } : { jobs, idempotency: idempotencyOf(key, caller, body.value) }
}

async function store(deps: SubmitDeps, of: 'one' | 'batch', request: SubmitRequest): Promise<SubmitReceipt> {
  try {
    const receipt = await deps.engine.submit(request)
    for (const [type, jobs] of countTypes(receipt.jobs)) {
      deps.events.emit('job.submitted', { type, jobs, replayed: receipt.replayed })
    }
    return receipt
  } catch (error) {
    throw error instanceof OutcomeUnknown ? outcomeUnknown(error, of) : error
  }
}

function countTypes(jobs: readonly SubmittedJob[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { type } of jobs) counts.set(type, (counts.get(type) ?? 0) + 1)
  return counts
}

function toAnswers(auth: Auth, caller: Caller, jobs: readonly SubmittedJob[]): Awaitable<SubmitAnswer[]> {
  if (!auth.enabled) return jobs.map((job) => toAnswer(job, null))
  return Promise.all(jobs.map(async (job) => toAnswer(job, await auth.issue(caller, job.jobId))))
}

function toAnswer(
  { jobId, status, type, createdAt, cursor }: SubmittedJob,
  token: string | null,
): SubmitAnswer {
  const self = `/api/jobs/${jobId}`
  const links = { self, events: `${self}/events`, cancel: `${self}/cancel`, socket: `/ws?job=${jobId}` }
  if (token === null) return { jobId, status, type, createdAt, cursor, links }
  return { jobId, status, type, createdAt, cursor, token, links }
}

function replayHeader({ replayed }: SubmitReceipt): Record<string, string> {
  return replayed ? { 'idempotency-replayed': 'true' } : {}
}

function asText(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header
}
