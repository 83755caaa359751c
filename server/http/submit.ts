import { createHash } from 'node:crypto'
import { z } from 'zod'
import { BatchAnswer, BatchBody, ClassicSubmitBody, SubmitAnswer, SubmitBody } from '../../shared/api.ts'
import type { ProblemCode } from '../../shared/codes.ts'
import { Job } from '../../shared/job.ts'
import { MAX_BATCH } from '../../shared/limits.ts'
import type { Auth, Caller } from '../auth/auth.ts'
import type { Reach } from '../auth/reach.ts'
import type { Engine, NewJob, SubmitReceipt, SubmitRequest, SubmittedJob } from '../engine/engine.ts'
import { OutcomeUnknown } from '../engine/errors.ts'
import type { Events } from '../events.ts'
import type { Hub } from '../gateway/hub.ts'
import { awaitTerminal } from '../gateway/transports/long-poll.ts'
import type { Awaitable } from '../jobs/check-value.ts'
import type { SchemaFailed, TypeRegistry } from '../jobs/registry.ts'
import { Intake, readBody } from './body.ts'
import { idempotencyKey, preferredWait } from './headers.ts'
import { type JsonBody, parseBody } from './json-body.ts'
import { Disconnected, explain, type FieldError, outcomeUnknown, ProblemError } from './problem.ts'
import { type Call, type HttpContext, header, json, type Route, route, textAnswer } from './route.ts'
import {
  type Checked,
  checkSubmission,
  errorsIn,
  type Refused,
  refusal,
  type SubmissionRules,
} from './submission.ts'

export interface SubmitDeps {
  readonly engine: Engine
  readonly registry: TypeRegistry
  readonly hub: Hub
  readonly reach: Reach
  readonly auth: Auth
  readonly events: Events
  /** Of a payload's JSON; a batch body may have twice as much. */
  readonly maxBytes: number
  readonly defaultType: string | null
}

/** Of the unknown types of a batch so many are compared with those that are known. */
const MOST_HINTS = 3

/** Room in a body for what is not payload: type, options, white space. */
const ENVELOPE_BYTES = 64 * 1024

/** Batches of this many bytes in all are checked and stored at once: about twice what the store takes in one go. */
const INTAKE_BYTES = 128 * 1024

const BatchEnvelope = z.strictObject({ jobs: z.array(z.unknown()).min(1).max(MAX_BATCH) })

const idempotency = {
  'Idempotency-Key': z.string().min(1).max(255).optional().meta({
    description:
      'The same key with an equal body within 24 h answers with the first answer and stores nothing',
  }),
}
const prefer = {
  Prefer: z.string().optional().meta({
    description: 'wait=N (RFC 7240): hold up to N seconds, at most 25 of at most 60, for a terminal status',
    example: 'wait=10',
  }),
}
const replay = {
  'Idempotency-Replayed': z
    .literal('true')
    .optional()
    .meta({ description: 'Present where an Idempotency-Key brought back the first answer' }),
}
const applied = z.string().meta({ description: 'The `wait` that was honoured' })

const PROBLEMS_OF_SUBMISSIONS: readonly ProblemCode[] = [
  'outcome_unknown',
  'invalid_payload',
  'invalid_options',
  'unknown_type',
  'invalid_idempotency_key',
  'idempotency_mismatch',
]

/** What the two calls that submit one job have in common. */
const ONE = {
  method: 'POST',
  access: { store: 'submit' },
  headers: z.object({ ...idempotency, ...prefer }),
  tags: ['jobs'],
  answers: {
    200: {
      description: 'With `Prefer: wait`, the job, once it is terminal',
      schema: Job,
      headers: z.object({ Location: header.location, 'Preference-Applied': applied, ...replay }),
    },
    202: {
      description: 'The job is stored',
      schema: SubmitAnswer,
      headers: z.object({
        Location: header.location,
        'Preference-Applied': applied.optional(),
        ...replay,
      }),
    },
  },
  problems: PROBLEMS_OF_SUBMISSIONS,
} as const

export function submitRoutes(deps: SubmitDeps): Route[] {
  const intake = new Intake(INTAKE_BYTES)
  return [
    route({
      ...ONE,
      path: '/api/jobs',
      body: SubmitBody,
      operationId: 'submitJob',
      summary: 'Submit a job',
      handle: (call) => submitOne(deps, call, null),
    }),
    route({
      ...ONE,
      path: '/api/jobs/submit',
      body: ClassicSubmitBody,
      operationId: 'submitClassic',
      summary: 'Submit a job as in the classic submit-and-poll pattern',
      handle: (call) => submitOne(deps, call, deps.defaultType),
    }),
    route({
      method: 'POST',
      path: '/api/jobs/batch',
      access: { store: 'submit' },
      headers: z.object(idempotency),
      body: BatchBody,
      operationId: 'submitBatch',
      summary: `Submit up to ${MAX_BATCH} jobs, all or none`,
      tags: ['jobs'],
      answers: {
        202: {
          description: 'The jobs are stored; answers in order',
          schema: BatchAnswer,
          headers: z.object(replay),
        },
      },
      problems: PROBLEMS_OF_SUBMISSIONS,
      handle: (call) => submitBatch(deps, intake, call),
    }),
  ]
}

async function submitOne(
  deps: SubmitDeps,
  { context, caller }: Call<unknown, unknown>,
  defaultType: string | null,
): Promise<Response> {
  const { headers } = context.env
  const receipt = await settled(deps, 'one', storeOne(deps, context, caller, defaultType))
  const submitted = receipt.jobs[0]
  if (submitted === undefined) throw new Error('the store answered a submission with no job')

  const prefix = deps.reach.prefix(context.env)
  let answerHeaders: Record<string, string> = {
    location: `${prefix}/api/jobs/${submitted.jobId}`,
    ...replayHeader(receipt),
  }
  const waitS = preferredWait(asText(headers.prefer))
  if (waitS > 0) {
    const since = performance.now()
    const job = await awaitTerminal(deps.hub, submitted.jobId, waitS * 1000, context.req.raw.signal)
    if (job !== null) return json(200, job, { ...answerHeaders, ...appliedWait(waitS) })
    // Less than was asked for, which the caller is told.
    const { holdMs } = deps.hub
    if (performance.now() - since >= holdMs)
      answerHeaders = { ...answerHeaders, ...appliedWait(holdMs / 1000) }
  }
  const token = deps.auth.enabled ? await deps.auth.issue(caller, submitted.jobId) : null
  return textAnswer(202, answerText(submitted, token, prefix), answerHeaders)
}

async function storeOne(
  deps: SubmitDeps,
  context: HttpContext,
  caller: Caller,
  defaultType: string | null,
): Promise<SubmitReceipt> {
  const key = idempotencyKey(context.env.headers['idempotency-key'])
  const body = parseBody(await readBody(context.env, deps.maxBytes + ENVELOPE_BYTES))
  const checking = checkSubmission(body.value, { ...rulesFor(deps, body), defaultType })
  const checked = checking instanceof Promise ? await checking : checking
  if (!checked.ok) throw refusal(checked)
  return deps.engine.submit(requestFor([checked.job], key, caller, body))
}

async function submitBatch(
  deps: SubmitDeps,
  intake: Intake,
  { context, caller }: Call<unknown, unknown>,
): Promise<Response> {
  const receipt = await settled(deps, 'batch', takeBatch(deps, intake, context, caller))
  const { jobs } = receipt
  const tokens = deps.auth.enabled ? await tokensFor(deps.auth, caller, jobs) : null
  return textAnswer(202, batchAnswer(jobs, tokens, deps.reach.prefix(context.env)), replayHeader(receipt))
}

async function takeBatch(
  deps: SubmitDeps,
  intake: Intake,
  context: HttpContext,
  caller: Caller,
): Promise<SubmitReceipt> {
  const { env } = context
  const key = idempotencyKey(env.headers['idempotency-key'])
  const bytes = await readBody(env, deps.maxBytes * 2)
  return intake.through(bytes.length, () => {
    if (env.isGone) throw new Disconnected('the caller went away')
    return storeBatch(deps, bytes, key, caller)
  })
}

/** Returns as soon as the store has been asked, so that nothing keeps the parsed body while the store is at work. */
async function storeBatch(
  deps: SubmitDeps,
  bytes: Buffer,
  key: string | undefined,
  caller: Caller,
): Promise<SubmitReceipt> {
  const body = parseBody(bytes)
  return deps.engine.submit(requestFor(await checkBatch(deps, body), key, caller, body))
}

/** All jobs of the batch; throws what is wrong with any of them, under the code of the first. */
async function checkBatch(deps: SubmitDeps, body: JsonBody): Promise<NewJob[]> {
  const envelope = BatchEnvelope.safeParse(body.value)
  if (!envelope.success) {
    const errors = errorsIn(envelope.error.issues)
    throw new ProblemError('invalid_request', explain('the batch is not valid', errors), { errors })
  }
  const rules = { ...rulesFor(deps, body), defaultType: null }
  const jobs: NewJob[] = []
  const errors: FieldError[] = []
  let first: Refused | undefined
  let index = -1
  const checks = envelope.data.jobs.map((submission, at) =>
    checkSubmission(submission, body.lossy.length === 0 ? rules : { ...rules, lossy: lossyIn(body, at) }),
  )
  for (const checked of await allChecked(checks)) {
    index += 1
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

/** Schemas that wait do so together, so that a batch takes no longer than the slowest of them. */
function allChecked(checks: Awaitable<Checked>[]): Awaitable<Checked[]> {
  return checks.every(isChecked) ? checks : Promise.all(checks)
}

function isChecked(check: Awaitable<Checked>): check is Checked {
  return !(check instanceof Promise)
}

/** A body that is small enough as a whole holds no payload that is too large. */
function rulesFor(
  { registry, events, maxBytes }: SubmitDeps,
  body: JsonBody,
): Omit<SubmissionRules, 'defaultType'> {
  const told: string[] = []
  let hints = MOST_HINTS
  return {
    registry,
    nearest: (type: string) => (hints-- > 0 ? registry.nearest(type) : []),
    maxPayloadBytes: body.bytes > maxBytes ? maxBytes : null,
    lossy: body.lossy,
    // Once for a thousand of a batch.
    onSchemaFailed(type: string, error: SchemaFailed) {
      if (told.includes(type)) return
      told.push(type)
      events.emit('schema.failed', { type, error })
    },
  }
}

/** Those of one submission of a batch. */
function lossyIn({ lossy }: JsonBody, index: number): JsonBody['lossy'] {
  const own = lossy.filter(({ path }) => path[0] === 'jobs' && path[1] === index)
  return own.map(({ path, message }) => ({ path: path.slice(2), message }))
}

function requestFor(
  jobs: readonly NewJob[],
  key: string | undefined,
  caller: Caller,
  body: JsonBody,
): SubmitRequest {
  return key === undefined ? { jobs } : { jobs, idempotency: idempotencyOf(key, caller, body.value) }
}

/** Tells the events what was stored, and the caller what to ask for where that is not known. */
async function settled(
  deps: SubmitDeps,
  of: 'one' | 'batch',
  storing: Promise<SubmitReceipt>,
): Promise<SubmitReceipt> {
  try {
    const receipt = await storing
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

function tokensFor(auth: Auth, caller: Caller, jobs: readonly SubmittedJob[]): Promise<(string | null)[]> {
  return Promise.all(jobs.map(({ jobId }) => auth.issue(caller, jobId)))
}

function replayHeader({ replayed }: SubmitReceipt): Record<string, string> {
  return replayed ? { 'idempotency-replayed': 'true' } : {}
}

/** RFC 7240, section 3. */
function appliedWait(seconds: number): Record<string, string> {
  return { 'preference-applied': `wait=${seconds}` }
}

function asText(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header
}

/** What the store needs to know an equal submission of the same caller again; `body` as it was sent. */
function idempotencyOf(
  key: string,
  caller: Caller,
  body: unknown,
): NonNullable<SubmitRequest['idempotency']> {
  return {
    scope: scopeOf(caller),
    key,
    bodyHash: createHash('sha256').update(canonical(body)).digest('base64url'),
  }
}

/** No API key's name has a colon. */
function scopeOf(caller: Caller): string {
  if (caller.kind === 'key') return caller.name
  return caller.kind === 'user' ? `user:${caller.name}` : ''
}

/** JSON with the keys of every object in order, so that equal values have equal texts. Recursive: for checked input. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
}

/** The JSON of a `SubmitAnswer`; `prefix` stands before the paths in the caller's addresses. */
export function answerText(job: SubmittedJob, token: string | null, prefix: string): string {
  return answerAround(job, token, prefix).join(job.jobId)
}

/**
 * The JSON of a `BatchAnswer`; `tokens` are those of the jobs, in order, or null without authorization. As bytes, since a
 * long text would be copied twice on its way out; ASCII, like all that it consists of.
 */
export function batchAnswer(
  jobs: readonly SubmittedJob[],
  tokens: readonly (string | null)[] | null,
  prefix: string,
): Buffer<ArrayBuffer> {
  let last: SubmittedJob | undefined
  let around: string[] = []
  const answers = jobs.map((job, index) => {
    if (tokens !== null || last === undefined || !areAlike(job, last)) {
      around = answerAround(job, tokens?.[index] ?? null, prefix)
    }
    last = job
    return around.join(job.jobId)
  })
  return Buffer.from(`{"jobs":[${answers.join(',')}]}`, 'latin1')
}

/**
 * What stands around the id in an answer, which has it five times. Answers are put together so, rather than by
 * `JSON.stringify`, because a batch has up to a thousand of them, which mostly differ in nothing but their ids. Ids are
 * hexadecimal, a token is base64url with dots and a prefix a plain path, so none needs escaping.
 */
function answerAround(
  { status, type, createdAt, cursor }: SubmittedJob,
  token: string | null,
  prefix: string,
): string[] {
  const facts = JSON.stringify({ status, type, createdAt, cursor }).slice(1, -1)
  const secret = token === null ? '' : `"token":"${token}",`
  return [
    '{"jobId":"',
    `",${facts},${secret}"links":{"self":"${prefix}/api/jobs/`,
    `","events":"${prefix}/api/jobs/`,
    `/events","cancel":"${prefix}/api/jobs/`,
    `/cancel","socket":"${prefix}/ws?job=`,
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
