import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { bytesTaken } from '../gateway/transports/websocket/socket-pipe.ts'
import { answeringOn } from '../gateway/transports/websocket/upgrade.ts'

/** So many requests of one connection may wait for the answer to an earlier one. */
export const MAX_PIPELINED = 32

/** A connection on which no byte was taken in so many looks, one every so many ms, while some wait is ended: 30 s. */
const LOOK_MS = 2000
const PATIENCE = 15

/** What waits of one connection: how many requests, and the last of them. */
interface Line {
  waiting: number
  last: ServerResponse
}

/**
 * Hands on the requests of a connection one after another, each when the one before is answered. Node tells of all that
 * came in one packet at once, hundreds of them, and keeps the answers until it is their turn; and those behind the first
 * would never learn that their caller is gone. `refuse` ends a connection with more than may wait.
 */
export function oneByOne(listener: RequestListener, refuse: (socket: Socket) => void): RequestListener {
  const lines = new WeakMap<Socket, Line>()

  function standInLine(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { socket } = incoming
    // What else came in the packet that broke the limit.
    if (socket.destroyed || socket.writableEnded) return
    const line = lines.get(socket) ?? { waiting: 0, last: outgoing }
    const before = line.waiting > 0 ? line.last : answeringOn(socket)
    if (line.waiting === MAX_PIPELINED || before === null) {
      refuse(socket)
      return
    }
    line.waiting += 1
    line.last = outgoing
    lines.set(socket, line)
    before.once('close', () => {
      line.waiting -= 1
      // It has none where the connection ends with the answer before.
      if (outgoing.socket !== null) listener(incoming, outgoing)
    })
  }

  return (incoming, outgoing) => {
    // Only the first in line has been given the socket.
    if (outgoing.socket === null) standInLine(incoming, outgoing)
    else listener(incoming, outgoing)
  }
}

/**
 * Ends connections whose readers have stopped to read, whatever they asked for. Looks are counted, not time: a process that
 * was held up itself has offered nothing meanwhile.
 */
export function cutStalled(server: Server, lookMs = LOOK_MS): void {
  const open = new Set<Socket>()
  const stuck = new Map<Socket, { taken: number; quietLooks: number }>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      stuck.delete(socket)
    })
  })

  function look(socket: Socket): void {
    if (socket.writableLength === 0) {
      stuck.delete(socket)
      return
    }
    const taken = bytesTaken(socket)
    const last = stuck.get(socket)
    if (last === undefined || last.taken !== taken) stuck.set(socket, { taken, quietLooks: 0 })
    else if (++last.quietLooks >= PATIENCE) socket.destroy()
  }

  server.on('listening', () => {
    const looks = setInterval(() => open.forEach(look), lookMs)
    server.once('close', () => clearInterval(looks))
  })
}
