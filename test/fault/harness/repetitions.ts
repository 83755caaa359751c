import type { EngineName } from './store.ts'
import { readTrials } from './trial.ts'

/**
 * `JOBCAST_SOAK`, set by `npm run test:soak`: `all` repeats every row as often as it says, a number that often at most;
 * unset, once.
 */
const soak = process.env.JOBCAST_SOAK ?? ''

/** Of a row that says nothing. */
const REPETITIONS = 200

export const isSoak = soak !== ''

/** How many of something a row has: all of them in a soak run, otherwise fewer. */
export function amountOf(all: number, fewer: number): number {
  return isSoak ? all : fewer
}

/** How often a row is still to be tried: a soak run goes on where the one before was cut short. */
export function repetitionsOf(fault: string, engine: EngineName, wanted: number = REPETITIONS): number {
  if (!isSoak) return 1
  const most = soak === 'all' ? wanted : Math.min(wanted, Number(soak))
  const done = readTrials().filter((trial) => trial.fault === fault && trial.engine === engine)
  return Math.max(0, most - done.length)
}
