// Handlers as one would rather not have them, each named by what it does. The same here and in a thread.
import { setTimeout as pause } from 'node:timers/promises'
import { beginRun } from './run-log.mjs'

const MIB = 1024 * 1024

const WAYS = {
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

export function misbehave({ how }, ctx) {
  beginRun(ctx)
  return WAYS[how]()
}
