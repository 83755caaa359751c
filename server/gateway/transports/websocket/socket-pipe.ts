import type { Socket } from 'node:net'
import type { Pipe } from '../../outbox.ts'

/** Frames of one round up to so many bytes are joined; copying more costs more than it saves. */
const MAX_JOINED_BYTES = 16 * 1024

/** What was joined last: sockets that watch the same job mostly have the same frames to write. */
let lastJoin: { readonly chunks: readonly Buffer[]; readonly joined: Buffer } | null = null

/**
 * The socket under a WebSocket, as something to write whole frames to. They pass the WebSocket by, which would make
 * head and payload of each anew; it compresses nothing and sends no fragments, so that any moment is between two of
 * its own frames.
 */
export class SocketPipe implements Pipe {
  readonly #socket: Socket
  /** When the last frame was written, on the clock of `performance.now()`. */
  writtenAt = performance.now()

  constructor(socket: Socket) {
    this.#socket = socket
  }

  unsent(): number {
    return this.#socket.writableLength
  }

  taken(): number {
    return bytesTaken(this.#socket)
  }

  write(chunks: readonly Buffer[]): void {
    const [first] = chunks
    if (first === undefined) return
    this.writtenAt = performance.now()
    if (chunks.length === 1) this.#socket.write(first)
    else if (bytesOf(chunks) <= MAX_JOINED_BYTES) this.#socket.write(join(chunks))
    else this.#writeEach(chunks)
  }

  #writeEach(chunks: readonly Buffer[]): void {
    this.#socket.cork()
    for (const chunk of chunks) this.#socket.write(chunk)
    this.#socket.uncork()
  }
}

function join(chunks: readonly Buffer[]): Buffer {
  if (lastJoin === null || !isSame(lastJoin.chunks, chunks)) {
    lastJoin = { chunks, joined: Buffer.concat(chunks) }
  }
  return lastJoin.joined
}

function isSame(some: readonly Buffer[], others: readonly Buffer[]): boolean {
  return some.length === others.length && some.every((chunk, at) => chunk === others[at])
}

function bytesOf(chunks: readonly Buffer[]): number {
  let bytes = 0
  for (const chunk of chunks) bytes += chunk.length
  return bytes
}

/** How many bytes of all that was written to a socket the system has taken; it takes more as the other side does. */
export function bytesTaken(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength - systemBacklog(socket)
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
