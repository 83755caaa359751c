import { parseAccept } from 'hono/utils/accept'
import type { PollAnswer } from '../../shared/api.ts'
import { PROBLEMS } from '../../shared/codes.ts'
import { WatchQuery } from '../../shared/query.ts'
import type { Caller } from '../auth/auth.ts'
import type { Hub } from '../gateway/hub.ts'
import { COUNTED_BYTES } from '../gateway/output-budget.ts'
import { longPoll } from '../gateway/transports/long-poll.ts'
import { openStream, retryField } from '../gateway/transports/sse.ts'
import { Disconnected, notFound, type ProblemError } from './problem.ts'
import { type Call, type HttpContext, type Route, route, textAnswer } from './route.ts'

interface PollParameters {
  readonly after?: string | undefined
  readonly wait?: number | undefined
  readonly history?: boolean | undefined
  readonly place?: number | undefined
}

/** Answers a long-poll; everything that it holds is released when the caller goes away. */
export async function poll(
  hub: Hub,
  { context, caller, jobId, query }: Call<PollParameters>,
): Promise<Response> {
  const { signal } = context.req.raw
  const answer = await longPoll(hub, {
    jobId,
    after: query.after || null,
    waitMs: (query.wait ?? 0) * 1000,
    history: query.history ?? false,
    place: query.place,
    expiresAt: expiryOf(caller),
    signal,
  })
  if (signal.aborted) throw new Disconnected('the caller went away')
  if (answer === null) throw notFound()
  return textAnswer(200, textOf(answer))
}

/** Of large answers, which many may be given at once: a job that ends wakes all that wait for it. */
const largeTexts = new WeakMap<PollAnswer, Buffer<ArrayBuffer>>()

function textOf(answer: PollAnswer): string | Buffer<ArrayBuffer> {
  const known = largeTexts.get(answer)
  if (known !== undefined) return known
  const text = JSON.stringify(answer)
  if (text.length < COUNTED_BYTES) return text
  const bytes = Buffer.from(text)
  largeTexts.set(answer, bytes)
  return bytes
}

const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  // What compresses an answer gathers it: Express's compression() and whoever uses it would hold events back to the end.
  'cache-control': 'no-store, no-transform',
  // Asks nginx and its kin not to gather events into bigger answers.
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
} as const

export function watchRoutes({ hub }: { readonly hub: Hub }): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/jobs/:id/events',
      access: { job: 'read' },
      tokenInQuery: true,
      query: WatchQuery,
      handle(call) {
        const { headers } = call.context.env.incoming
        // An EventSource reconnects to its old address: what it adds by itself is the newer cursor.
        const { lastEventId, after: first } = call.query
        const header = headers['last-event-id']
        const after = (typeof header === 'string' && header) || lastEventId || first
        const request = { ...call, query: { ...call.query, after } }
        return prefersJson(headers.accept) ? poll(hub, request) : stream(hub, request)
      },
      refuse: comeBack,
    }),
  ]
}

async function stream(hub: Hub, { context, caller, jobId, query }: Call<PollParameters>): Promise<Response> {
  const { signal, method } = context.req.raw
  const opened = await openStream(hub, {
    jobId,
    after: query.after || null,
    history: query.history ?? false,
    places: query.place !== undefined,
    expiresAt: expiryOf(caller),
    comesBack: asksForStream(context.env.incoming.headers.accept),
    signal,
    cut: () => context.env.incoming.socket.destroy(),
  })
  if (opened.kind === 'not_found') throw notFound()
  // 204 stops an EventSource for good (HTML standard, section server-sent events).
  if (opened.kind === 'finished')
    return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
  if (method === 'HEAD') await opened.body.cancel()
  return new Response(method === 'HEAD' ? null : opened.body, { headers: STREAM_HEADERS })
}

/**
 * An `EventSource` takes any answer but 200 for final (HTML standard, section server-sent events): where the refusal
 * passes by itself, a stream that ends tells it when to come back. Null for what is final, and for whoever did not ask for
 * a stream by name, as each of them does.
 */
function comeBack({ env: { incoming }, req }: HttpContext, { code, message }: ProblemError): Response | null {
  const status = PROBLEMS[code]
  if (!asksForStream(incoming.headers.accept) || (status < 500 && status !== 429)) return null
  const body = `: ${code}: ${message.replace(/\s+/g, ' ')}\n${retryField('refused')}`
  return new Response(req.method === 'HEAD' ? null : body, { headers: STREAM_HEADERS })
}

function expiryOf(caller: Caller): number | null {
  return caller.kind === 'token' ? caller.expiresAt : null
}

/** By its name, as all do who read one as it is meant, and come back for the rest. */
function asksForStream(accept: string | undefined): boolean {
  return qualities(accept)('text/event-stream') > 0 && !prefersJson(accept)
}

/** A stream goes to whoever takes both as gladly, and to whoever names neither. */
function prefersJson(accept: string | undefined): boolean {
  const quality = qualities(accept)
  return quality('application/json') > quality('text/event-stream')
}

/** How gladly a media type is taken, by its name: 0 to 1. */
function qualities(accept = ''): (type: string) => number {
  const accepted = parseAccept(accept.toLowerCase())
  return (type) => accepted.find((one) => one.type === type)?.q ?? 0
}
