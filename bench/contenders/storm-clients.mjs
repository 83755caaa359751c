/**
 * Thousands of Jobcast's subscribers in a process of their own, which do what the protocol asks of them: when their
 * gateway is gone they come back to another one after a random delay, with their cursors. Each holds what it gets to the
 * order of its job's events.
 */
import { serve } from '../harness/serve.mjs'
import { ThinSocket } from '../harness/thin-socket.mjs'

/** Connections under way at once, while nothing hurries. */
const OPENING = 100
/** The shortest delay of a reconnect, and what is added to it at random, doubled at every failure. */
const RECONNECT_MS = 500
const LONGEST_MS = 10_000
/** Whoever says nothing for 30 s is closed, and a thin socket answers no ping frames. */
const HEARTBEAT_MS = 10_000

let subscribers = []
let servers = []
let notice = () => {}

class Subscriber {
  #jobId
  #cursor = ''
  #failures = 0
  #socket = null
  seq = 0
  /** When it was last told where it stands; null while it is away. */
  backAt = null

  constructor(jobId) {
    this.#jobId = jobId
  }

  connect(server) {
    const url = new URL(`/ws?job=${this.#jobId}&after=${this.#cursor}`, server)
    const socket = new ThinSocket(
      url,
      (frame) => this.#receive(JSON.parse(frame.utf8Slice())),
      () => this.#lost(socket),
    )
    this.#socket = socket
  }

  close() {
    const socket = this.#socket
    this.#socket = null
    socket?.close()
  }

  beat() {
    if (this.backAt !== null) this.#socket.send('{"op":"ping"}')
  }

  #receive(frame) {
    if (frame.op === 'event') this.#follow(frame)
    else if (frame.op === 'error') throw new Error(`refused: ${frame.code}`)
    else if (frame.op === 'subscribed') {
      if (frame.mode === 'resume') for (const event of frame.events) this.#follow(event)
      else if (this.seq > 0) throw new Error(`a snapshot where events were to follow: ${frame.reason}`)
      this.#cursor = frame.cursor
      this.seq = Number(frame.cursor.slice(frame.cursor.lastIndexOf('.') + 1))
      this.#failures = 0
      this.backAt = performance.now()
      notice()
    }
  }

  #follow({ seq }) {
    if (seq !== this.seq + 1) throw new Error(`event ${seq} after ${this.seq}`)
    this.seq = seq
    this.#cursor = this.#cursor.slice(0, this.#cursor.lastIndexOf('.') + 1) + seq
  }

  /** A socket may say so twice. */
  #lost(socket) {
    if (this.#socket !== socket) return
    this.#socket = null
    this.backAt = null
    const spread = Math.min(LONGEST_MS, RECONNECT_MS * 2 ** this.#failures++)
    setTimeout(
      () => this.connect(servers[Math.floor(Math.random() * servers.length)]),
      RECONNECT_MS + Math.random() * spread,
    )
  }
}

function whenAllAreBack(some) {
  return new Promise((resolve) => {
    notice = () => {
      if (some.every(({ backAt }) => backAt !== null)) resolve()
    }
    notice()
  })
}

setInterval(() => {
  for (const subscriber of subscribers) subscriber.beat()
}, HEARTBEAT_MS)

serve({
  /** A subscriber of each job, on one gateway; resolves when all know where their jobs stand. */
  async open(server, jobIds) {
    servers = [server]
    for (let first = 0; first < jobIds.length; first += OPENING) {
      const some = jobIds.slice(first, first + OPENING).map((jobId) => new Subscriber(jobId))
      subscribers.push(...some)
      for (const subscriber of some) subscriber.connect(server)
      await whenAllAreBack(some)
    }
  },
  /** Where whoever loses its connection goes from now on. */
  comeBackTo(urls) {
    servers = urls
  },
  /** Who is away at this moment. */
  away: () => subscribers.filter(({ backAt }) => backAt === null).length,
  /** Resolves when nobody is away, to how many ms ago each came back. */
  async back() {
    await whenAllAreBack(subscribers)
    const now = performance.now()
    return subscribers.map(({ backAt }) => now - backAt)
  },
  /** The last event that each has seen. */
  seqs: () => subscribers.map(({ seq }) => seq),
  close() {
    for (const subscriber of subscribers) subscriber.close()
    subscribers = []
  },
})
