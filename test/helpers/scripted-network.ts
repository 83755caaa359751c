// What the client loads when it needs it, here already: loading takes a time that no clock of a test can pass.
import '../../client/lists.ts'
import '../../client/run.ts'
import '../../client/token-renewals.ts'
import type { Job } from '../../shared/job.ts'
import { NO_LABELS } from '../../shared/options.ts'
import type { ServerFrame } from '../../shared/protocol.ts'

/** A WebSocket without a network: the test plays the server. */
export class ScriptedSocket {
  onopen: unknown
  onmessage: unknown
  onclose: unknown
  onerror: unknown
  readonly url: string
  readonly sent: Record<string, unknown>[] = []
  closedByClient = false

  constructor(url: string) {
    this.url = url
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data))
  }

  close(): void {
    this.closedByClient = true
  }

  /** The server says something. */
  says(frame: ServerFrame | Record<string, unknown>): void {
    this.hears(JSON.stringify(frame))
  }

  hears(data: unknown): void {
    if (typeof this.onmessage === 'function') this.onmessage({ data })
  }

  hello(changes: { heartbeatMs?: number; maxSubscriptions?: number } = {}): void {
    this.says({
      op: 'hello',
      protocol: 1,
      heartbeatMs: 20_000,
      maxSubscriptions: 256,
      maxFrameBytes: 16_384,
      ...changes,
    })
  }

  /** The server, or the network, ends the connection. */
  ends(code = 1006): void {
    if (typeof this.onclose === 'function') this.onclose({ code })
  }
}

/** A `WebSocket` class whose every instance is kept, newest last. */
export function scriptedSockets() {
  const sockets: ScriptedSocket[] = []
  class Recorded extends ScriptedSocket {
    constructor(url: string) {
      super(url)
      sockets.push(this)
    }
  }
  return { sockets, WebSocket: Recorded }
}

export interface ScriptedRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Headers
  readonly body: unknown
  readonly signal: AbortSignal
  answer(response: Response): void
  json(body: unknown, status?: number, headers?: Record<string, string>): void
  problem(status: number, code: string, headers?: Record<string, string>): void
  /** The connection breaks. */
  breaks(): void
  /** Answers with a stream of server-sent events that stays open. */
  stream(headers?: Record<string, string>): {
    event(event: string, data: unknown, id?: string): void
    retry(ms: number): void
    end(): void
  }
}

/** A `fetch` without a network: every request is kept, and waits for the test to answer it. */
export function scriptedFetch() {
  const requests: ScriptedRequest[] = []
  const fetch = (input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> =>
    new Promise((resolve, reject) => {
      const signal = init.signal ?? new AbortController().signal
      signal.addEventListener('abort', () => reject(signal.reason))
      if (signal.aborted) reject(signal.reason)
      const json = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
        resolve(new Response(JSON.stringify(body), { status, headers }))
      requests.push({
        url: new URL(String(input)),
        method: init.method ?? 'GET',
        headers: new Headers(init.headers),
        body: typeof init.body === 'string' ? JSON.parse(init.body) : null,
        signal,
        answer: resolve,
        json,
        problem: (status, code, headers = {}) =>
          json({ type: 'about:blank', title: code, status, detail: `it is ${code}`, code }, status, {
            'content-type': 'application/problem+json',
            ...headers,
          }),
        breaks: () => reject(new TypeError('fetch failed')),
        stream: (headers = {}) => {
          const encoder = new TextEncoder()
          const state: { controller?: ReadableStreamDefaultController<Uint8Array> } = {}
          const body = new ReadableStream<Uint8Array>({
            start: (controller) => {
              state.controller = controller
              signal.addEventListener('abort', () => controller.error(signal.reason))
            },
          })
          resolve(
            new Response(body, {
              headers: { 'content-type': 'text/event-stream; charset=utf-8', ...headers },
            }),
          )
          const write = (text: string) => state.controller?.enqueue(encoder.encode(text))
          return {
            event: (event, data, id) =>
              write(
                `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`,
              ),
            retry: (ms) => write(`retry: ${ms}\n\n`),
            end: () => state.controller?.close(),
          }
        },
      })
    })
  return { requests, fetch }
}

export function aJob(changes: Partial<Job> = {}): Job {
  return {
    jobId: 'j1',
    type: 'countdown',
    status: 'processing',
    payload: {},
    progress: null,
    result: null,
    error: null,
    errorCode: null,
    attempt: 1,
    maxAttempts: 3,
    stalls: 0,
    priority: 0,
    ...NO_LABELS,
    createdAt: '2026-11-23T15:49:00.000Z',
    scheduledFor: null,
    startedAt: '2026-11-23T15:49:00.012Z',
    completedAt: null,
    expiresAt: null,
    cancelRequested: false,
    cursor: 'e1.2',
    ...changes,
  }
}

const at = '2026-11-23T15:49:01.000Z'

export function aLog(seq: number) {
  return { seq, at, kind: 'log', data: { level: 'info', line: `line ${seq}` } } as const
}

export function aProgress(seq: number, percent = seq) {
  return { seq, at, kind: 'progress', data: { percent, note: null } } as const
}

export function aCompletion(seq: number) {
  const data = { status: 'completed', result: { steps: 3 }, completedAt: at } as const
  return { seq, at, kind: 'status', data } as const
}
