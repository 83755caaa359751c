import { openPolls } from './poll.ts'
import { openSocket } from './socket.ts'
import { openStream } from './stream.ts'
import type { OpenWire } from './wire.ts'

export const TRANSPORTS = ['websocket', 'sse', 'long-poll', 'polling'] as const
export type Transport = (typeof TRANSPORTS)[number]

/** Every way to watch a job. */
export const WIRES: Readonly<Record<Transport, OpenWire>> = {
  websocket: openSocket,
  sse: openStream,
  'long-poll': openPolls(20),
  polling: openPolls(0),
}
