import { MAX_PLACE } from '../../../shared/limits.ts'
import type { Place } from '../engine.ts'
import { decodePolicy } from '../job/policy.ts'
import type { Store } from './store.ts'

/** The jobs of one type and priority that are asked for: id and place, in the order of these. */
interface Group {
  readonly kind: number
  readonly priority: number
  readonly spots: [jobId: string, place: number][]
}

const SPOTS = `
  SELECT json_group_array(json_array(jobs.id, jobs.kind, policy, coalesce(place, jobs.n)))
  FROM json_each(?) CROSS JOIN jobs ON jobs.id = value LEFT JOIN states USING (n)`
const IN_FRONT = 'SELECT count(*) FROM (SELECT 1 FROM queue WHERE kind = ? AND priority > ? LIMIT ?)'
const NTH = 'SELECT place FROM queue WHERE kind = ? AND priority = ? ORDER BY place LIMIT 1 OFFSET ?'
/** Of each spot whether there is such a row, and how many rows there are from the spot before it on. */
const STEPS = `
  SELECT json_group_array(json_array(
    EXISTS (SELECT 1 FROM queue WHERE kind = ?1 AND priority = ?2 AND place = spot),
    (SELECT count(*) FROM queue WHERE kind = ?1 AND priority = ?2 AND place >= min(last, ?3) AND place < min(spot, ?3))
  ))
  FROM (SELECT value AS spot, lag(value, 1, 0) OVER (ORDER BY key) AS last FROM json_each(?4))`

/**
 * The places of those jobs that are queued, by id. Each line is walked from its head, from one job that is asked for to the
 * next: however many these are, each row of the queue is looked at once, and none behind `MAX_PLACE`.
 */
export function places(store: Store, jobIds: readonly string[]): Map<string, Place> {
  const found = new Map<string, Place>()
  for (const { kind, priority, spots } of groupsOf(store, jobIds)) {
    const type = store.catalog.typeOf(kind)
    const paused = store.catalog.isPaused(type)
    const inFront = numberOf(store, IN_FRONT, [kind, priority, MAX_PLACE]) ?? 0
    // The first that is too far back, and what is never reached where there is none.
    const end = numberOf(store, NTH, [kind, priority, MAX_PLACE - inFront]) ?? Number.MAX_SAFE_INTEGER
    const numbers = JSON.stringify(spots.map(([, place]) => place))
    const steps = JSON.parse(store.get(STEPS, [kind, priority, end, numbers])?.[0] as string) as Step[]
    let before = inFront
    for (const [index, [jobId, spot]] of spots.entries()) {
      const [isQueued, step] = steps[index] ?? [0, 0]
      before += step
      if (isQueued === 1) found.set(jobId, { type, place: spot < end ? before + 1 : null, paused })
    }
  }
  return found
}

type Step = [isQueued: 0 | 1, step: number]

function groupsOf(store: Store, jobIds: readonly string[]): Iterable<Group> {
  const rows = JSON.parse(store.get(SPOTS, [JSON.stringify(jobIds)])?.[0] as string) as [
    ...[jobId: string, kind: number, policy: string, place: number],
  ][]
  const groups = new Map<string, Group>()
  for (const [jobId, kind, policy, place] of rows) {
    const { priority } = decodePolicy(policy)
    const key = `${kind} ${priority}`
    const group = groups.get(key) ?? { kind, priority, spots: [] }
    if (group.spots.length === 0) groups.set(key, group)
    group.spots.push([jobId, place])
  }
  for (const { spots } of groups.values()) spots.sort(([, one], [, other]) => one - other)
  return groups.values()
}

function numberOf(store: Store, sql: string, parameters: readonly number[]): number | undefined {
  return store.get(sql, parameters)?.[0] as number | undefined
}
