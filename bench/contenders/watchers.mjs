/** Thousands of WebSocket clients in a process of their own; Jobcast's and Socket.IO's differ in a few lines only. */
import { nowMs } from '../harness/clock.mjs'
import { serve } from '../harness/serve.mjs'
import { ThinSocket } from '../harness/thin-socket.mjs'

/** Connections under way at once. */
const OPENING = 100

/** Of what bare `ws` sends besides events. */
const FIRST_BYTES = { hello: 'h'.charCodeAt(0), watching: 'w'.charCodeAt(0) }

/** What kind of frame it is that arrived, told by its first bytes, and what is sent. */
const PROTOCOLS = {
  jobcast: {
    path: '/ws',
    kind(frame) {
      // {"op":"event",… and so on
      switch (frame.toString('latin1', 7, 9)) {
        case 'ev':
          return 'event'
        case 'su':
          return 'watching'
        case 'he':
          return 'ready'
        case 'er':
          return 'error'
        default:
          return 'other'
      }
    },
    watch: (jobId) => JSON.stringify({ op: 'subscribe', jobId }),
    settledAt: (frame) => JSON.parse(frame.utf8Slice()).data.result?.at,
  },
  // Engine.IO 4: 0 opens, and is answered 40, which is answered 40; 42 is an event; 43 the acknowledgement of one; 2 a ping.
  'socket.io': {
    path: '/socket.io/?EIO=4&transport=websocket',
    kind(frame) {
      switch (frame.toString('latin1', 0, 2)) {
        case '0{':
          return 'greeting'
        case '42':
          return 'event'
        case '43':
          return 'watching'
        case '40':
          return 'ready'
        case '44':
          return 'error'
        default:
          return 'other'
      }
    },
    watch: (jobId) => `420${JSON.stringify(['watch', jobId])}`,
    settledAt: (frame) => JSON.parse(frame.utf8Slice(2))[1].data.result?.at,
  },
  ws: {
    path: '/',
    kind(frame) {
      // Everything else that it sends is what was published.
      switch (frame[0]) {
        case FIRST_BYTES.hello:
          return 'ready'
        case FIRST_BYTES.watching:
          return 'watching'
        default:
          return 'event'
      }
    },
    watch: (jobId) => jobId,
    settledAt: (frame) => JSON.parse(frame.utf8Slice()).data.result?.at,
  },
}

let protocol = PROTOCOLS.ws
let sockets = []
let latencies = null
/** Frames that arrived so far, by kind. */
const seen = { greeting: 0, ready: 0, watching: 0, event: 0, error: 0, other: 0 }
let goal = null

function receive(frame, socket) {
  const kind = protocol.kind(frame)
  if (kind === 'greeting') socket.send('40')
  seen[kind]++
  if (kind === 'error') throw new Error(`refused: ${frame}`)
  if (kind === 'event' && latencies !== null) {
    const at = protocol.settledAt(frame)
    // Other events of a job are not the end of it.
    if (at === undefined) seen.event--
    else latencies.push(nowMs() - at)
  }
  if (goal !== null && seen[goal.kind] >= goal.amount) {
    goal.resolve()
    goal = null
  }
}

function reach(kind, amount) {
  if (seen[kind] >= amount) return
  return new Promise((resolve) => {
    goal = { kind, amount, resolve }
  })
}

serve({
  /** Opens sockets; answers how many ms that took until the server had greeted the last one. */
  async open(url, name, amount) {
    protocol = PROTOCOLS[name]
    const address = new URL(protocol.path, url)
    const started = performance.now()
    const before = seen.ready
    while (sockets.length < amount) {
      // The next one begins as soon as one is through.
      await reach('ready', before + sockets.length + 1 - OPENING)
      sockets.push(
        new ThinSocket(address, receive, (error) => {
          if (sockets.length > 0) throw error ?? new Error('the server closed a connection')
        }),
      )
    }
    await reach('ready', before + amount)
    return performance.now() - started
  },
  /** Socket n watches job n, and from the start again; resolves when the server has confirmed the last. */
  async watch(jobIds) {
    const before = seen.watching
    for (const [n, jobId] of jobIds.entries()) {
      sockets[n % sockets.length].send(protocol.watch(jobId))
      if (n % OPENING === OPENING - 1) await reach('watching', before + n + 1)
    }
    await reach('watching', before + jobIds.length)
  },
  /** Forgets what was counted; with `timed`, the results of jobs are looked at for the time of their settlement. */
  count(timed) {
    seen.event = 0
    latencies = timed ? [] : null
  },
  /** Resolves when so many events have arrived since `count`. */
  async reach(events) {
    await reach('event', events)
    return { events: seen.event, latencies }
  },
  close() {
    const closing = sockets
    sockets = []
    for (const socket of closing) socket.close()
  },
})
