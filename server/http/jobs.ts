import type { ProblemCode } from '../../shared/codes.ts'
import { formatCursor } from '../../shared/cursor.ts'
import { summaryOf } from '../../shared/job.ts'
import { DEFAULT_LIST } from '../../shared/limits.ts'
import { FULL_LIMIT, ListQuery, NoQuery, PollQuery } from '../../shared/query.ts'
import type { Auth } from '../auth/auth.ts'
import type { Engine, JobPage, ListQuery as PageRequest } from '../engine/engine.ts'
import type { Hub } from '../gateway/hub.ts'
import type { OutputBudget } from '../gateway/output-budget.ts'
import { readNoBody } from './body.ts'
import { matchesEtag } from './etag.ts'
import { notFound, ProblemError } from './problem.ts'
import { type Call, json, type Route, route, textAnswer } from './route.ts'
import { poll } from './watch.ts'

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

/** What a token is where none is asked for: any text will do, so that callers need not care. */
const NO_TOKEN_NEEDED = 'not-required'

export function jobRoutes({ engine, hub, auth }: JobDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/jobs',
      access: { store: 'read' },
      query: ListQuery,
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
      query: PollQuery,
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
      query: NoQuery,
      async handle({ context, jobId }) {
        await readNoBody(context)
        const verdict = await engine.remove(jobId)
        if (verdict !== 'removed') throw refuseChange(verdict)
        return new Response(null, { status: 204 })
      },
    }),
    route({
      method: 'POST',
      path: '/api/jobs/:id/cancel',
      access: { job: 'cancel' },
      query: NoQuery,
      async handle({ context, jobId }) {
        await readNoBody(context)
        const change = await hub.outputBudget.readAlone(() => engine.cancel(jobId))
        if (!change.ok) throw refuseChange(change.reason)
        return json(202, change.job)
      },
    }),
    route({
      method: 'POST',
      path: '/api/jobs/:id/retry',
      access: { job: 'retry' },
      query: NoQuery,
      async handle({ context, jobId }) {
        await readNoBody(context)
        const change = await hub.outputBudget.readAlone(() => engine.retry(jobId))
        if (!change.ok) throw refuseChange(change.reason)
        return json(202, change.job)
      },
    }),
    route({
      method: 'POST',
      path: '/api/jobs/:id/token',
      access: { job: 'issue' },
      query: NoQuery,
      async handle({ context, caller, jobId }) {
        await readNoBody(context)
        const [position] = await engine.feed.positions([jobId])
        if (!position) throw notFound()
        return json(200, { token: (await auth.issue(caller, jobId)) ?? NO_TOKEN_NEEDED })
      },
    }),
  ]
}

/** Held by the browser and asked for again with its ETag; then the cursor alone is read, not the payload. */
async function showJob(
  engine: Engine,
  budget: OutputBudget,
  { context, jobId }: Call<unknown>,
): Promise<Response> {
  const { url, env } = { url: context.req.url, env: context.env }
  const wanted = env.incoming.headers['if-none-match']
  const conditional = !url.includes('?')
  if (conditional && wanted !== undefined) {
    const [position] = await engine.feed.positions([jobId])
    if (!position) throw notFound()
    const etag = quote(formatCursor(position.epoch, position.seq))
    if (matchesEtag(wanted, etag))
      return new Response(null, { status: 304, headers: { ...REVALIDATE, etag } })
  }
  const job = await budget.readAlone(() => engine.get(jobId))
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
async function fillPage(engine: Engine, query: PageRequest): Promise<JobPage> {
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
  asked: Omit<PageRequest, 'withBodies'>,
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
