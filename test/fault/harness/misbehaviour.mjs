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
}

export function misbehave({ how }, ctx) {
  beginRun(ctx)
  return WAYS[how]()
}
