import { MAX_PLACE } from '../../../shared/limits.ts'
import type { Place } from '../engine.ts'
import { policyOf } from './policy-text.ts'
import type { Store } from './store.ts'

/** Where a job stands: the key of its row in `queue`. */
interface Spot {
  readonly jobId: string
  readonly kind: number
  readonly priority: number
  readonly place: number
}

const SPOTS = `
  SELECT json_group_array(json_array(jobs.id, jobs.kind, policy, coalesce(place, jobs.n)))
  FROM json_each(?) CROSS JOIN jobs ON jobs.id = value LEFT JOIN states USING (n)`
const IS_QUEUED = 'SELECT 1 FROM queue WHERE kind = ? AND priority = ? AND place = ?'
const BETWEEN = count('kind = ? AND priority = ? AND place >= ? AND place < ?')
const REST_OF_LINE = count('kind = ? AND priority = ? AND place >= ?')
const WHOLE_LINES = count('kind = ? AND priority < ? AND priority > ?')
/** Above every priority that there is. */
const FIRST = { priority: 10, place: 0 }

/** The places of those jobs that are queued, by id. */
export function places(store: Store, jobIds: readonly string[]): Map<string, Place> {
  const byKind = new Map<number, Spot[]>()
  for (const spot of queuedSpots(store, jobIds)) {
    const spots = byKind.get(spot.kind)
    if (spots === undefined) byKind.set(spot.kind, [spot])
    else spots.push(spot)
  }
  const found = new Map<string, Place>()
  for (const [kind, spots] of byKind) {
    const type = store.catalog.typeOf(kind)
    const paused = store.catalog.isPaused(type)
    for (const { jobId, place } of countOut(store, spots)) found.set(jobId, { type, place, paused })
  }
  return found
}

function queuedSpots(store: Store, jobIds: readonly string[]): Spot[] {
  const found = JSON.parse(store.get(SPOTS, [JSON.stringify(jobIds)])?.[0] as string) as [
    ...[jobId: string, kind: number, policy: string, place: number],
  ][]
  return found.flatMap(([jobId, kind, policy, place]) => {
    const { priority } = policyOf(policy)
    const isQueued = store.get(IS_QUEUED, [kind, priority, place]) !== undefined
    return isQueued ? [{ jobId, kind, priority, place }] : []
  })
}

/**
 * Walks the line of a type from its head, from one job that is asked for to the next: however many these are, each row of
 * the queue is looked at once, and none behind `MAX_PLACE`.
 */
function* countOut(store: Store, spots: Spot[]): Generator<{ jobId: string; place: number | null }> {
  let before = 0
  let from = FIRST
  for (const spot of spots.sort((a, b) => b.priority - a.priority || a.place - b.place)) {
    if (before < MAX_PLACE) before += distance(store, from, spot, MAX_PLACE - before)
    from = spot
    yield { jobId: spot.jobId, place: before < MAX_PLACE ? before + 1 : null }
  }
}

/** How many stand from the one spot on and before the other; `most` where there are more. */
function distance(store: Store, from: typeof FIRST, { kind, priority, place }: Spot, most: number): number {
  const counted = (sql: string, parameters: number[]) =>
    (store.get(sql, [...parameters, most])?.[0] ?? 0) as number
  if (from.priority === priority) return counted(BETWEEN, [kind, priority, from.place, place])
  const sum =
    counted(REST_OF_LINE, [kind, from.priority, from.place]) +
    counted(WHOLE_LINES, [kind, from.priority, priority]) +
    counted(BETWEEN, [kind, priority, 0, place])
  return Math.min(sum, most)
}

/** Counts rows of the queue, as many as its last parameter says at most. */
function count(condition: string): string {
  return `SELECT count(*) FROM (SELECT 1 FROM queue WHERE ${condition} LIMIT ?)`
}
