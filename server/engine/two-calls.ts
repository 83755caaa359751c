/** Calls to a store under way at once: while it carries out one, this process makes the next and reads the last. */
export const MOST_CALLS = 2

/**
 * Which part of what waits goes in a call now; 0: it waits for the one under way. All of it, at once, where nothing is under
 * way; also beside a call, where so much waits that this is `worthACall`. Where two calls are worth it, each takes its half. So
 * batches grow with the load, idle calls wait for nothing, and neither side of a busy connection waits for the other.
 */
export function shareOfNextCall(waiting: number, underWay: number, worthACall: number): number {
  if (underWay === 0) return waiting < MOST_CALLS * worthACall ? 1 : 1 / MOST_CALLS
  return underWay < MOST_CALLS && waiting >= worthACall ? 1 : 0
}
