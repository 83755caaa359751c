import { z } from 'zod'
import { ListAnswer, PollAnswer, TokenAnswer, TypeName } from '../../shared/api.ts'
import type { ProblemCode } from '../../shared/codes.ts'
import { formatCursor } from '../../shared/cursor.ts'
import { Job, JobStatus, summaryOf } from '../../shared/job.ts'
import { DEFAULT_LIST, MAX_LIST, MAX_LIST_TAGS } from '../../shared/limits.ts'
import { flag, whole } from '../../shared/query.ts'
import type { Auth } from '../auth/auth.ts'
import type { Engine, JobPage, ListQuery } from '../engine/engine.ts'
import type { Hub } from '../gateway/hub.ts'
import type { OutputBudget } from '../gateway/output-budget.ts'
import { Answer } from './answer.ts'
import { matchesEtag } from './headers.ts'
import { notFound, ProblemError } from './problem.ts'
import { type Call, header, json, onJob, type Route, route, textAnswer } from './route.ts'
import { PollParameters, poll } from './watch.ts'

interface JobDeps {
  readonly engine: Engine
  readonly hub: Hub
  readonly auth: Auth
}

/** How long a page is filled, in ms, while looking for its jobs finds none. */
const FILL_MS = 200
/** A page of whole jobs with more bytes takes no further one. */
const FULL_PAGE_BYTES = 16 * 1024 * 1024
/** The same while others wait for room, which pages that wait for their next job would take. */
const CROWDED_PAGE_BYTES = 1024 * 1024

const FULL_LIMIT = 20

/** An empty filter, as a form sends it, counts as left out. */
export const ListParameters = z
  .object({
    type: z.array(TypeName).optional(),
    status: z.array(JobStatus).optional(),
    tag: z
      .array(z.string().max(64, { error: 'must have 1 to 64 characters' }))
      .max(MAX_LIST_TAGS, { error: `may be given ${MAX_LIST_TAGS} times` })
      .optional(),
    limit: whole(1, MAX_LIST).optional(),
    page: z.string().optional(),
    full: flag.optional(),
  })
  .refine(({ full, limit }) => !full || limit === undefined || limit <= FULL_LIMIT, {
    path: ['limit'],
    error: `must be at most ${FULL_LIMIT} with full=1`,
  })

/** What a token is where none is asked for: any text will do, so that callers need not care. */
const NO_TOKEN_NEEDED = 'not-required'

export function jobRoutes({ engine, hub, auth }: JobDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/jobs',
      access: { store: 'read' },
      query: ListParameters,
      operationId: 'listJobs',
      summary: `Jobs, newest first, without payload and result unless \`full=1\``,
      description: 'A page may hold fewer jobs than `limit` and still not be the last one.',
      tags: ['jobs'],
      answers: { 200: { description: 'One page', schema: ListAnswer } },
      async handle({ query }) {
        const asked = {
          types: query.type ?? [],
          statuses: query.status ?? [],
          tags: query.tag ?? [],
          page: query.page || null,
        }
        if (query.full)
          return textAnswer(
            200,
            await fullPage(engine, hub.outputBudget, { ...asked, limit: query.limit ?? FULL_LIMIT }),
          )
        const { jobs, nextPage } = await fillPage(engine, {
          ...asked,
          withBodies: false,
          limit: query.limit ?? DEFAULT_LIST,
        })
        return json(200, { jobs: jobs.map(summaryOf), nextPage })
      },
    }),
    route({
      method: 'GET',
      path: '/api/jobs/:id',
      access: { job: 'read' },
      params: onJob,
      query: PollParameters,
      headers: z.object({
        'If-None-Match': z.string().optional().meta({ description: 'An ETag of an earlier answer' }),
      }),
      operationId: 'getJob',
      summary: 'A job as it is now, or, with any parameter, a long-poll for what comes after a cursor',
      tags: ['jobs', 'watching'],
      answers: {
        200: {
          description: 'The job; of a long-poll, the job with `mode` and `events`',
          schema: z.union([PollAnswer, Job]),
          headers: z.object({ ETag: header.etag.optional(), 'Cache-Control': header.cacheControl }),
        },
        304: {
          description: 'The job has not changed',
          headers: z.object({ ETag: header.etag, 'Cache-Control': header.cacheControl }),
        },
      },
      handle(call) {
        const { after, wait, history, place } = call.query
        if (after !== undefined || wait !== undefined || place !== undefined || history)
          return poll(hub, call)
        return showJob(engine, hub.outputBudget, call)
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/jobs/:id',
      access: { job: 'remove' },
      params: onJob,
      operationId: 'removeJob',
      summary: 'Forget a finished job',
      tags: ['jobs'],
      answers: { 204: { description: 'The job is forgotten' } },
      problems: ['outcome_unknown', 'not_finished'],
      async handle({ params }) {
        const verdict = await engine.remove(params.id)
        if (verdict !== 'removed') throw refuseChange(verdict)
        return new Answer(null, { status: 204 })
      },
    }),
    route({
      method: 'POST',
      path: '/api/jobs/:id/cancel',
      access: { job: 'cancel' },
      params: onJob,
      operationId: 'cancelJob',
      summary: 'Cancel a job; of a running one the cancel is requested',
      tags: ['jobs'],
      answers: { 202: { description: 'The job as it is now', schema: Job } },
      problems: ['outcome_unknown', 'already_finished'],
      async handle({ params }) {
        const change = await hub.outputBudget.readAlone(() => engine.cancel(params.id))
        if (!change.ok) throw refuseChange(change.reason)
        return json(202, change.job)
      },
    }),
    route({
      method: 'POST',
      path: '/api/jobs/:id/retry',
      access: { job: 'retry' },
      params: onJob,
      operationId: 'retryJob',
      summary: 'Queue a failed or cancelled job again',
      tags: ['jobs'],
      answers: { 202: { description: 'The job as it is now', schema: Job } },
      problems: ['outcome_unknown', 'not_retryable'],
      async handle({ params }) {
        const change = await hub.outputBudget.readAlone(() => engine.retry(params.id))
        if (!change.ok) throw refuseChange(change.reason)
        return json(202, change.job)
      },
    }),
    route({
      method: 'POST',
      path: '/api/jobs/:id/token',
      access: { job: 'issue' },
      params: onJob,
      operationId: 'issueToken',
      summary: 'A fresh job token with the rights of its issuer',
      tags: ['jobs'],
      answers: { 200: { description: 'The token; any text where no API keys are set', schema: TokenAnswer } },
      async handle({ caller, params: { id } }) {
        const [position] = await engine.feed.positions([id])
        if (!position) throw notFound()
        return json(200, { token: (await auth.issue(caller, id)) ?? NO_TOKEN_NEEDED })
      },
    }),
  ]
}

/** Held by the browser and asked for again with its ETag; then the cursor alone is read, not the payload. */
async function showJob(
  engine: Engine,
  budget: OutputBudget,
  { context, params: { id } }: Call<{ readonly id: string }, unknown>,
): Promise<Response> {
  const wanted = context.env.headers['if-none-match']
  const conditional = !context.req.url.includes('?')
  if (conditional && wanted !== undefined) {
    const [position] = await engine.feed.positions([id])
    if (!position) throw notFound()
    const etag = quote(formatCursor(position.epoch, position.seq))
    if (matchesEtag(wanted, etag)) return new Answer(null, { status: 304, headers: { ...REVALIDATE, etag } })
  }
  const job = await budget.readAlone(() => engine.get(id))
  if (job === null) throw notFound()
  return json(200, job, conditional ? { ...REVALIDATE, etag: quote(job.cursor) } : REVALIDATE)
}

const REVALIDATE = { 'cache-control': 'private, no-cache' } as const

function quote(cursor: string): string {
  return `"${cursor}"`
}

/**
 * Where few jobs fit the filter, a call of the engine looks at many and returns a few: it is asked again, within
 * bounds, so that a page is rarely short and never slow.
 */
async function fillPage(engine: Engine, query: ListQuery): Promise<JobPage> {
  const until = performance.now() + FILL_MS
  let page = await engine.list(query)
  while (page.nextPage !== null && page.jobs.length < query.limit && performance.now() < until) {
    const limit = query.limit - page.jobs.length
    const more = await engine.list({ ...query, limit, page: page.nextPage })
    page = { ...more, jobs: [...page.jobs, ...more.jobs] }
  }
  return page
}

/**
 * JSON of a page of whole jobs. They may be large, so each is read by itself: a page ends where it has enough bytes, however
 * few jobs that is.
 */
async function fullPage(
  engine: Engine,
  budget: OutputBudget,
  asked: Omit<ListQuery, 'withBodies'>,
): Promise<Buffer<ArrayBuffer>> {
  const until = performance.now() + FILL_MS
  const charge = budget.charge(null)
  // Bytes, not text: what waits for the next read would fill the heap.
  const jobs: Buffer[] = []
  let { page } = asked
  let size = 0
  let found = 0
  try {
    do {
      const read = await budget.readAlone(() => engine.list({ ...asked, withBodies: true, limit: 1, page }))
      found = read.jobs.length
      for (const job of read.jobs) {
        const bytes = Buffer.from(`${jobs.length === 0 ? '' : ','}${JSON.stringify(job)}`)
        jobs.push(bytes)
        charge.add(bytes.length)
        size += bytes.length
      }
      page = read.nextPage
    } while (
      page !== null &&
      jobs.length < asked.limit &&
      size < (budget.hasRoom ? FULL_PAGE_BYTES : CROWDED_PAGE_BYTES) &&
      (found > 0 || performance.now() < until)
    )
    const end = `],"nextPage":${JSON.stringify(page)}}`
    return Buffer.concat([Buffer.from('{"jobs":['), ...jobs, Buffer.from(end)])
  } finally {
    charge.release()
  }
}

const REFUSALS = {
  not_found: 'there is no such job; it may have expired',
  already_finished: 'the job has finished: there is nothing to cancel',
  not_retryable: 'only a failed or cancelled job can be retried',
  not_finished: 'only a finished job can be removed: cancel it first',
} as const satisfies Partial<Record<ProblemCode, string>>

function refuseChange(reason: keyof typeof REFUSALS): ProblemError {
  return new ProblemError(reason, REFUSALS[reason])
}
