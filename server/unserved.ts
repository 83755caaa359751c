import { WorkerTypes } from '../shared/pace.ts'
import type { Presence, TypeState } from './engine/engine.ts'

/** A type whose jobs wait though it is not paused, since no live worker runs it: as after a deploy without it. */
export interface UnservedType {
  readonly type: string
  readonly queued: number
}

/** Of each type that live workers run, how many do. */
export function workersByType(presences: readonly Presence[]): Map<string, number> {
  const workers = new Map<string, number>()
  for (const { role, info } of presences) {
    const announced = role === 'worker' ? WorkerTypes.safeParse(info) : undefined
    for (const type of announced?.data?.types ?? []) workers.set(type, (workers.get(type) ?? 0) + 1)
  }
  return workers
}

export function unservedTypes(
  states: readonly TypeState[],
  presences: readonly Presence[],
): readonly UnservedType[] {
  const waiting = states.filter(({ counts, paused }) => counts.queued > 0 && !paused)
  if (waiting.length === 0) return []
  const workers = workersByType(presences)
  return waiting
    .filter(({ type }) => !workers.has(type))
    .map(({ type, counts }) => ({ type, queued: counts.queued }))
}

/** A sentence for whoever runs it. */
export function unservedWarning({ type, queued }: UnservedType): string {
  return `${queued === 1 ? '1 job' : `${queued} jobs`} of type ${type} wait${queued === 1 ? 's' : ''}, and no live worker runs it`
}
