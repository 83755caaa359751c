import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { RespSplitter, wordsOf } from './resp.ts'

/** A published message on its way to a subscriber. */
export interface PassingMessage {
  readonly channel: string
  readonly text: string
}

/** Stands between Jobcast and its Redis and is as unkind as the networks out there. */
export interface RedisProxy {
  readonly url: string
  /** How many connections were made so far. */
  readonly connections: number
  /** Every published message passes here: delivered once by default; it may be not at all, twice, or later. */
  disturb: (message: PassingMessage, deliver: () => void) => void
  /** Holds back everything, in both directions, for this long, in ms. */
  delayMs: number
  /** What goes through in each direction, over all connections together; 0: any amount. */
  bytesPerSecond: number
  /** Bytes that were let through at that pace, in both directions. */
  readonly paced: number
  /** While true, new connections are reset at once. */
  refuses: boolean
  /** Resets the connections there are. */
  cut(): void
  /** From now on, what goes through the connections there are vanishes, and nobody is told: all, or subscribers only. */
  swallow(which?: 'all' | 'subscribers'): void
  /**
   * The next command that matches is carried out, and its connection breaks before the answer is through. Resolves
   * when that has happened.
   */
  loseAnswerTo(matches: (command: readonly string[]) => boolean): Promise<void>
  close(): Promise<void>
}

interface Loss {
  readonly matches: (command: readonly string[]) => boolean
  readonly done: () => void
}

interface Link {
  readonly client: Socket
  readonly upstream: Socket
  readonly toClient: SlowLane
  readonly toUpstream: SlowLane
  subscribes: boolean
  /** Nothing passes any more. */
  swallows: boolean
}

/** `target`: the port of the redis-server at this moment. */
export async function startRedisProxy(target: () => number): Promise<RedisProxy> {
  const links = new Set<Link>()
  const losses: Loss[] = []
  const rate = () => proxy.bytesPerSecond
  const toClients = new Pace(rate)
  const toServer = new Pace(rate)
  let connections = 0

  const server = createServer((client) => {
    connections += 1
    if (proxy.refuses) {
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    const upstream = connect(target(), '127.0.0.1')
    const link: Link = {
      client,
      upstream,
      toClient: new SlowLane(client, toClients),
      toUpstream: new SlowLane(upstream, toServer),
      subscribes: false,
      swallows: false,
    }
    links.add(link)
    const cutLink = () => {
      links.delete(link)
      client.resetAndDestroy()
      link.upstream.destroy()
    }
    for (const socket of [client, link.upstream]) {
      socket.setNoDelay(true)
      socket.on('error', cutLink)
      socket.on('close', cutLink)
    }
    carryCommands(link)
    carryReplies(link)
  })

  function carryCommands(link: Link): void {
    const splitter = new RespSplitter()
    link.client.on('data', (piece) => {
      if (link.swallows) return
      for (const command of splitter.push(piece)) {
        const words = wordsOf(command)
        if (words[0]?.toLowerCase() === 'subscribe') link.subscribes = true
        link.toUpstream.pass(command, proxy.delayMs)
        const index = losses.findIndex(({ matches }) => matches(words))
        const [loss] = index === -1 ? [] : losses.splice(index, 1)
        if (loss === undefined) continue
        loseRest(link, loss)
        return
      }
    })
  }

  function carryReplies(link: Link): void {
    const splitter = new RespSplitter()
    link.upstream.on('data', (piece) => {
      if (link.swallows) return
      for (const reply of splitter.push(piece)) {
        const deliver = () => {
          if (!link.swallows) link.toClient.pass(reply, proxy.delayMs)
        }
        const [kind, channel, text] = link.subscribes ? wordsOf(reply) : []
        if (kind === 'message' && channel !== undefined && text !== undefined) {
          proxy.disturb({ channel, text }, deliver)
        } else deliver()
      }
    })
  }

  /** Redis answers in order: once it has answered what the proxy asks behind the command, that was carried out. */
  function loseRest(link: Link, loss: Loss): void {
    link.swallows = true
    const marker = 'carried-out'
    let seen = ''
    link.upstream.on('data', (piece) => {
      seen = (seen + piece.toString('latin1')).slice(-4096)
      if (!seen.includes(marker)) return
      link.client.resetAndDestroy()
      loss.done()
    })
    link.upstream.write(`*2\r\n$4\r\nECHO\r\n$${marker.length}\r\n${marker}\r\n`)
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo
  const proxy: RedisProxy = {
    url: `redis://127.0.0.1:${port}`,
    get connections() {
      return connections
    },
    disturb: (_message, deliver) => deliver(),
    delayMs: 0,
    bytesPerSecond: 0,
    get paced() {
      return toClients.passed + toServer.passed
    },
    refuses: false,
    cut() {
      for (const { client } of links) client.resetAndDestroy()
    },
    swallow(which = 'all') {
      for (const link of links) if (which === 'all' || link.subscribes) link.swallows = true
    },
    loseAnswerTo: (matches) => new Promise((done) => losses.push({ matches, done })),
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      proxy.cut()
      return closed
    },
  }
  return proxy
}

/** Pieces of this size take turns. */
const PIECE_BYTES = 16 * 1024

/** Lets lanes that share a direction send no more than it carries. */
class Pace {
  passed = 0
  readonly #bytesPerSecond: () => number
  #freeAt = 0

  constructor(bytesPerSecond: () => number) {
    this.#bytesPerSecond = bytesPerSecond
  }

  get isLimited(): boolean {
    return this.#bytesPerSecond() > 0
  }

  /** In how many ms so much may be sent, after all that was asked for before. */
  reserve(bytes: number): number {
    if (!this.isLimited) return 0
    this.passed += bytes
    const now = performance.now()
    const at = Math.max(now, this.#freeAt)
    this.#freeAt = at + (1000 * bytes) / this.#bytesPerSecond()
    return this.#freeAt - now
  }
}

/** Delays what it passes on, and keeps its order also when the delay changes. */
class SlowLane {
  readonly #socket: Socket
  readonly #pace: Pace
  #waiting: { readonly value: Buffer; readonly dueAt: number }[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(socket: Socket, pace: Pace) {
    this.#socket = socket
    this.#pace = pace
    socket.on('close', () => clearTimeout(this.#timer))
  }

  pass(value: Buffer, delayMs: number): void {
    const dueAt = performance.now() + delayMs
    const isIdle = this.#waiting.length === 0
    const size = this.#pace.isLimited ? PIECE_BYTES : value.length
    for (let first = 0; first < value.length; first += size) {
      this.#waiting.push({ value: value.subarray(first, first + size), dueAt })
    }
    if (isIdle) this.#carry()
  }

  #carry(): void {
    for (;;) {
      const [next] = this.#waiting
      if (next === undefined || this.#socket.destroyed) return
      const leftMs = next.dueAt - performance.now()
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.#carry(), leftMs)
        return
      }
      const turnMs = this.#pace.reserve(next.value.length)
      if (turnMs > 0) {
        this.#timer = setTimeout(() => {
          this.#send()
          this.#carry()
        }, turnMs)
        return
      }
      this.#send()
    }
  }

  #send(): void {
    const next = this.#waiting.shift()
    if (next !== undefined && !this.#socket.destroyed) this.#socket.write(next.value)
  }
}
