import { nowMs } from './clock.mjs'

/** Handlers that wait for their turn, in the order in which they began. */
const waiting = []
/** Handlers that began since the last of the turns before. */
let began = 0
let pace = null

/**
 * A handler that returns when its turn has come, with the time at which it did. One that begins after its turn, since
 * its queue lags behind, returns at once with the time of the turn: what it is late counts.
 */
export async function takeTurn() {
  const number = began++
  if (pace !== null && dueTime(number) <= nowMs()) return { at: dueTime(number) }
  await new Promise((resolve) => waiting.push({ number, resolve }))
  return { at: nowMs() }
}

/** The turns come at a steady pace from now on; resolves with the last one. */
export async function giveTurns(amount, perSecond) {
  pace = { start: nowMs(), perSecond }
  while (began < amount || waiting.length > 0) {
    while (waiting.length > 0 && dueTime(waiting[0].number) <= nowMs()) waiting.shift().resolve()
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.floor(500 / perSecond))))
  }
  began = 0
  pace = null
}

export function waitingJobs() {
  return waiting.length
}

function dueTime(number) {
  return pace.start + (number * 1000) / pace.perSecond
}
