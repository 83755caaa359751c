import { type Http, isRecord } from '../http.ts'
import type { Link, LinkOptions, TransportName } from './link.ts'
import { poll } from './poll.ts'
import { SocketLink } from './socket.ts'
import type { SocketConstructor } from './socket-like.ts'
import { sse } from './sse.ts'
import { StreamLink } from './stream.ts'

export type { SocketConstructor } from './socket-like.ts'

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
      return new StreamLink({ ...options, transport, capacity: streams, attempt: sse })
    case 'long-poll':
      return new StreamLink({ ...options, transport, capacity: streams, attempt: poll(HOLD_S) })
    case 'polling':
      return new StreamLink({ ...options, transport, capacity: Number.POSITIVE_INFINITY, attempt: poll(0) })
  }
}

/** Node, or what takes after it. A worker of a page has no document either, and its browser's limits. */
function isNode(): boolean {
  const runtime: unknown = Reflect.get(globalThis, 'process')
  const versions = isRecord(runtime) ? runtime.versions : null
  return typeof document === 'undefined' && isRecord(versions) && versions.node !== undefined
}
