import { z } from 'zod'
import { PollAnswer } from '../../shared/api.ts'
import { PROBLEMS } from '../../shared/codes.ts'
import { MAX_PLACE, MAX_WAIT_S } from '../../shared/limits.ts'
import { SUBPROTOCOL } from '../../shared/protocol.ts'
import { flag, SocketParameters, whole } from '../../shared/query.ts'
import type { Caller } from '../auth/auth.ts'
import type { Hub } from '../gateway/hub.ts'
import { COUNTED_BYTES } from '../gateway/output-budget.ts'
import { longPoll } from '../gateway/transports/long-poll.ts'
import { openStream, retryField } from '../gateway/transports/sse.ts'
import { Answer } from './answer.ts'
import { asksForStream, prefersJson } from './headers.ts'
import { Disconnected, notFound, ProblemError } from './problem.ts'
import { type Call, type HttpContext, header, onJob, type Route, route, textAnswer } from './route.ts'

/**
 * `after` is a cursor; one that cannot be read is one of another epoch, so nothing is checked here. `place` is the place in
 * line that the caller has of a queued job, 0 for none.
 */
export const PollParameters = z.object({
  after: z.string().optional(),
  wait: whole(0, MAX_WAIT_S).optional(),
  history: flag.optional(),
  place: whole(0, MAX_PLACE)
    .meta({ description: 'Of a queued job: the place in line that the caller knows, 0 for none' })
    .optional(),
})

const WatchParameters = PollParameters.extend({
  token: z.string().optional(),
  lastEventId: z
    .string()
    .meta({ description: 'The cursor again, as a polyfill of EventSource sends it when it reconnects' })
    .optional(),
})

type PollCall = Call<{ readonly id: string }, z.output<typeof PollParameters>>

/** Answers a long-poll; everything that it holds is released when the caller goes away. */
export async function poll(hub: Hub, { context, caller, params, query }: PollCall): Promise<Response> {
  const { signal } = context.req.raw
  const answer = await longPoll(hub, {
    jobId: params.id,
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
      params: onJob,
      query: WatchParameters,
      headers: z.object({
        'Last-Event-ID': z.string().optional().meta({ description: 'The cursor; counts before `after`' }),
      }),
      operationId: 'streamJob',
      summary: 'Everything that happens to a job, as server-sent events',
      description:
        'Event names: status, progress, log, chunk, snapshot, end, and, without an id, place and ping; ids are cursors. With `Accept: application/json` the same address answers a long-poll.',
      tags: ['watching'],
      answers: {
        200: {
          description: 'The stream',
          schema: PollAnswer,
          media: { 'text/event-stream': z.string() },
          headers: z.object({
            'Cache-Control': header.cacheControl,
            'X-Accel-Buffering': z.literal('no').optional(),
          }),
        },
        204: { description: 'The job has finished and the cursor is its last' },
      },
      handle(call) {
        const { headers } = call.context.env
        // An EventSource reconnects to its old address: what it adds by itself is the newer cursor.
        const { lastEventId, after: first } = call.query
        const header = headers['last-event-id']
        const after = (typeof header === 'string' && header) || lastEventId || first
        const request = { ...call, query: { ...call.query, after } }
        return prefersJson(headers.accept) ? poll(hub, request) : stream(hub, request)
      },
      refuse: comeBack,
    }),
    route({
      method: 'GET',
      path: '/ws',
      access: 'open',
      tokenInQuery: true,
      query: SocketParameters,
      headers: z.object({
        'Sec-WebSocket-Protocol': z
          .string()
          .optional()
          .meta({ description: 'None is needed', example: SUBPROTOCOL }),
      }),
      operationId: 'openSocket',
      summary: 'Watch jobs over a WebSocket; with `job`, that one from the start',
      tags: ['watching'],
      answers: { 101: { description: 'The socket is open; the first frame is `hello`' } },
      problems: ['unauthorized', 'unavailable'],
      handle: askForUpgrade,
    }),
  ]
}

/** To whoever comes to `/ws` without `Upgrade`: upgrades never get here, they are taken by the gateway. */
function askForUpgrade(): never {
  throw new ProblemError('invalid_request', 'this address speaks WebSocket: connect with ws:// or wss://', {
    headers: { upgrade: 'websocket' },
  })
}

async function stream(hub: Hub, { context, caller, params, query }: PollCall): Promise<Response> {
  const { env, req } = context
  const { signal, method } = req.raw
  const opened = await openStream(hub, {
    jobId: params.id,
    after: query.after || null,
    history: query.history ?? false,
    places: query.place !== undefined,
    expiresAt: expiryOf(caller),
    comesBack: asksForStream(env.headers.accept),
    signal,
    ...(env.cut && { cut: () => env.cut?.() }),
  })
  if (opened.kind === 'not_found') throw notFound()
  // 204 stops an EventSource for good (HTML standard, section server-sent events).
  if (opened.kind === 'finished')
    return new Answer(null, { status: 204, headers: { 'cache-control': 'no-store' } })
  if (method === 'HEAD') await opened.body.cancel()
  return new Answer(method === 'HEAD' ? null : opened.body, { headers: STREAM_HEADERS })
}

/**
 * An `EventSource` takes any answer but 200 for final (HTML standard, section server-sent events): where the refusal
 * passes by itself, a stream that ends tells it when to come back. Null for what is final, and for whoever did not ask for
 * a stream by name, as each of them does.
 */
function comeBack({ env: { headers }, req }: HttpContext, { code, message }: ProblemError): Response | null {
  const status = PROBLEMS[code]
  if (!asksForStream(headers.accept) || (status < 500 && status !== 429)) return null
  const body = `: ${code}: ${message.replace(/\s+/g, ' ')}\n${retryField('refused')}`
  return new Answer(req.method === 'HEAD' ? null : body, { headers: STREAM_HEADERS })
}

function expiryOf(caller: Caller): number | null {
  return caller.kind === 'token' ? caller.expiresAt : null
}
