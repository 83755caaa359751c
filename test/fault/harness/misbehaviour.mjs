// Handlers as one would rather not have them, each named by what it does. The same here and in a thread.
import { EventEmitter } from 'node:events'
import { connect } from 'node:net'
import { kill, pid } from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { beginRun, runsBefore } from './run-log.mjs'

const MIB = 1024 * 1024

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** What a schema answers with, as one would rather not have it. */
export const BAD_ANSWERS = {
  throws: () => boom(),
  rejects: () => Promise.reject(revoked()),
  'never-answers': () => new Promise(() => {}),
}

const WAYS = {
  throwRevoked() {
    throw revoked()
  },
  throwGetters() {
    throw Object.defineProperty(new Error(), 'message', { get: boom })
  },
  returnRevoked: () => ({ deep: [revoked()] }),
  throwInToJson: () => ({ toJSON: boom }),
  throwRevokedInToJson: () => ({
    toJSON() {
      throw revoked()
    },
  }),
  throwString() {
    throw 'plain words'
  },
  rejectWithNothing: () => Promise.reject(),
  returnCircular() {
    const circular = {}
    circular.self = circular
    return circular
  },
  returnBigInt: () => 12n,
  returnTwoMebibytes: () => 'x'.repeat(2 * MIB),
  exit: () => process.exit(7),
  async leaveRejection() {
    Promise.reject(new Error('a forgotten promise'))
    await pause(50)
    return 'done'
  },
  fillHeap() {
    const hoard = []
    for (;;) hoard.push(new Array(1_000_000).fill(0.5))
  },
  block() {
    for (;;);
  },
  leaveTimer() {
    setTimeout(() => {
      throw new Error('a forgotten timer')
    }, 5)
  },
  leaveLateRejection() {
    setTimeout(() => Promise.reject(new Error('a forgotten promise')), 5)
  },
  leaveExit() {
    setTimeout(() => process.exit(7), 5)
  },
  leaveHoard() {
    globalThis.left = Array.from({ length: 25 }, () => new Array(MIB).fill(0.5))
  },
  leaveChanges() {
    const { stringify } = JSON
    JSON.stringify = (value) => stringify({ changed: value })
    Array.prototype.left = true
    process.env.LEFT = 'behind'
  },
  /** Tells what it finds of what others have left. */
  async look() {
    await pause(50)
    return {
      json: JSON.stringify([1]),
      array: [].left,
      env: process.env.LEFT,
      hoard: globalThis.left?.length,
    }
  },
}

/** What a handler begins and nobody waits for, each of which throws where nobody catches it. */
const UNCAUGHT = {
  timer: () => setTimeout(boom, 20),
  socket: () => connect(1, '127.0.0.1'),
  emitter() {
    const emitter = new EventEmitter()
    setTimeout(() => emitter.emit('error', new Error('boom')), 20)
  },
  microtask: () => setTimeout(() => queueMicrotask(boom), 20),
  rejection: () => setTimeout(() => Promise.reject(new Error('boom')), 20),
  revoked() {
    setTimeout(() => {
      throw revoked()
    }, 20)
  },
  shared: (ctx) => shared.once('tick', () => ctx.chunk(new Map())),
}

/** Begun by no run, as the pool of a library is. */
const shared = new EventEmitter()
setInterval(() => shared.emit('tick'), 100).unref()

function boom() {
  throw new Error('boom')
}

export function misbehave({ how }, ctx) {
  beginRun(ctx)
  return WAYS[how]()
}

/** Begins it, and either waits for ever or returns before it throws. */
export function leaveUncaught({ what, returns }, ctx) {
  const run = beginRun(ctx)
  UNCAUGHT[what](ctx)
  return returns ? run.end() : new Promise(() => {})
}

/** Waits for its signal, and throws where it hears of it. */
export function listenBadly(_payload, ctx) {
  beginRun(ctx)
  return new Promise(() => ctx.signal.addEventListener('abort', boom))
}

/** Sends its process a signal, in another way each time, and goes on. */
export async function terminate({ signal }, ctx) {
  const before = runsBefore(ctx)
  beginRun(ctx)
  if (before % 2 === 0) kill(pid, signal)
  else process.emit(signal, signal)
  await new Promise(() => {})
}
