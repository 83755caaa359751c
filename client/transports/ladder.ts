import { type Http, isRecord } from '../http.ts'
import type { Link, LinkOptions, TransportName } from './link.ts'
import { poll } from './poll.ts'
import { type SocketConstructor, SocketLink } from './socket.ts'
import { sse } from './sse.ts'
import { StreamLink } from './stream.ts'

/** The transports, from the best to the one that always works. */
export const LADDER: readonly TransportName[] = ['websocket', 'sse', 'long-poll', 'polling']

export interface OpenOptions extends LinkOptions {
  readonly http: Http
  readonly WebSocket: SocketConstructor | undefined
  /** There is nothing below on the ladder. */
  readonly last: boolean
}

/** Held requests that a page, or a worker, may have open beside each other: browsers allow six a host over HTTP/1.1. */
const PAGE_STREAMS = 4
/** How long a held poll may be held, in seconds. */
const HOLD_S = 20

/** The only place that knows which transports there are. */
export function openLink(transport: TransportName, options: OpenOptions): Link {
  const { http, WebSocket } = options
  const streams = isNode() ? Number.POSITIVE_INFINITY : PAGE_STREAMS
  switch (transport) {
    case 'websocket': {
      if (WebSocket === undefined) throw new TypeError('there is no WebSocket')
      return new SocketLink({ ...options, WebSocket, url: http.url('/ws').replace(/^http/, 'ws') })
    }
    case 'sse':
      return new StreamLink({ ...options, transport, capacity: streams, round: sse })
    case 'long-poll':
      return new StreamLink({ ...options, transport, capacity: streams, round: poll(HOLD_S) })
    case 'polling':
      return new StreamLink({ ...options, transport, capacity: Number.POSITIVE_INFINITY, round: poll(0) })
  }
}

/** Node, or what takes after it. A worker of a page has no document either, and its browser's limits. */
function isNode(): boolean {
  const runtime: unknown = Reflect.get(globalThis, 'process')
  const versions = isRecord(runtime) ? runtime.versions : null
  return typeof document === 'undefined' && isRecord(versions) && versions.node !== undefined
}

/**
 * What works on the way to a server, for as long as the browser's tab lives: another page of the same tab begins with
 * it. Where there is no `sessionStorage`, or it may not be used, for as long as the client does.
 */
export class TransportMemory {
  readonly #key: string
  /** Whether what needs no trial is remembered as well, since a page would not begin with it by itself. */
  readonly #keepsTop: boolean
  /** What worked last. */
  transport: TransportName | null = null
  /** When a better one is to be tried again, in ms since 1970; null where there is none. */
  trialAt: number | null = null

  constructor(server: string, keepsTop: boolean) {
    this.#key = `jobcast:transport:${server}`
    this.#keepsTop = keepsTop
    const stored = withStorage((storage) => storage.getItem(this.#key))
    const note = withStorage((): unknown => JSON.parse(stored ?? 'null'))
    if (!isRecord(note)) return
    const { trialAt } = note
    if (typeof trialAt !== 'number' && !(keepsTop && trialAt === null)) return
    this.transport = LADDER.find((name) => name === note.transport) ?? null
    this.trialAt = trialAt
  }

  note(transport: TransportName | null, trialAt: number | null): void {
    this.transport = transport
    this.trialAt = trialAt
    withStorage((storage) => {
      if (trialAt === null && !this.#keepsTop) storage.removeItem(this.#key)
      else storage.setItem(this.#key, JSON.stringify({ transport, trialAt }))
    })
  }
}

/** Storage may be forbidden or full, and what is in it anybody's. */
function withStorage<T>(call: (storage: Storage) => T): T | null {
  try {
    return globalThis.sessionStorage === undefined ? null : call(sessionStorage)
  } catch {
    return null
  }
}
