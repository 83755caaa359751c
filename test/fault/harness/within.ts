import { isSoak } from './repetitions.ts'

/** `npm test` has to pass beside whatever else a machine does. */
const PATIENCE = 4

/** What is promised within so many ms, as a deadline: as it is in a soak run, and otherwise so late that only a fault misses it. */
export function within(promisedMs: number): number {
  return isSoak ? promisedMs : PATIENCE * promisedMs
}
