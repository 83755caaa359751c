import { CLOSE } from '../../shared/codes.ts'
import type { ServerFrame } from '../../shared/protocol.ts'
import { isRecord } from '../http.ts'

/** What is used of a WebSocket; the browser's own and the one of `ws` both have it. */
export interface SocketLike {
  send(data: string): void
  close(code?: number): void
  onopen: unknown
  onmessage: unknown
  onclose: unknown
  onerror: unknown
}

export type SocketConstructor = new (url: string) => SocketLike

/** The border: what the server sends is trusted to have the shape that its `op` promises. */
export function readFrame(data: string): ServerFrame | null {
  try {
    const frame: unknown = JSON.parse(data)
    return isRecord(frame) && typeof frame.op === 'string' ? (frame as ServerFrame) : null
  } catch {
    return null
  }
}

/** Closes a socket whose end is of no interest any more; one that is not open yet may complain about it. */
export function discard(socket: SocketLike): void {
  socket.onmessage = () => {}
  socket.onclose = () => {}
  try {
    socket.close(CLOSE.normal)
  } catch {
    // Nothing is left to close.
  }
}
