import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Pipe } from './outbox.ts'

const SEND_OPTIONS = { binary: false, compress: false, fin: true } as const

/** A WebSocket as something to write to, with the socket under it, which knows what was taken. */
export class SocketPipe implements Pipe {
  readonly #ws: WebSocket
  readonly #socket: Socket
  /** Of the last frame, on the clock of `performance.now()`. */
  writtenAt = performance.now()

  constructor(ws: WebSocket, socket: Socket) {
    this.#ws = ws
    this.#socket = socket
  }

  unsent(): number {
    return this.#ws.bufferedAmount
  }

  taken(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength - systemBacklog(this.#socket)
  }

  write(chunk: Buffer): void {
    this.writtenAt = performance.now()
    this.#ws.send(chunk, SEND_OPTIONS)
  }

  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }
}

/**
 * Bytes of the write under way that the system has not taken yet. Node tells of a write only when it is done, however
 * long it is; its own timeouts look at the same number.
 */
function systemBacklog(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return 0
  const backlog: unknown = Reflect.get(handle, 'writeQueueSize')
  return typeof backlog === 'number' ? backlog : 0
}
