import { DEFAULT_LIST } from '../../../shared/limits.ts'
import type { ClientFrame } from '../../../shared/protocol.ts'
import type { Submitted } from '../../engine/engine.ts'

/** Which jobs a list has. */
export type ListFilter = NewestFilter | JobsFilter

/** The newest jobs of any of these types (none: of all) with all of these tags. */
export interface NewestFilter {
  readonly kind: 'newest'
  readonly types: readonly string[]
  readonly tags: readonly string[]
  readonly limit: number
}

/** These jobs, in this order. */
interface JobsFilter {
  readonly kind: 'jobs'
  readonly jobIds: readonly string[]
}

export function filterOf(frame: Extract<ClientFrame, { op: 'watch' }>): ListFilter {
  const { type, tag, jobIds, limit = DEFAULT_LIST } = frame
  if (jobIds !== undefined) return { kind: 'jobs', jobIds: [...new Set(jobIds)] }
  return { kind: 'newest', types: sorted(type), tags: sorted(tag), limit }
}

/** The most jobs that the list may have. */
export function sizeOf(filter: ListFilter): number {
  return filter.kind === 'jobs' ? filter.jobIds.length : filter.limit
}

/** Equal filters have equal keys. */
export function keyOf(filter: ListFilter): string {
  return JSON.stringify(filter)
}

/** Whether jobs that match may be among those that were submitted. */
export function mayMatch({ types, tags }: NewestFilter, submitted: Submitted): boolean {
  if (types.length > 0 && !types.some((type) => submitted.types.includes(type))) return false
  return submitted.tags === null || tags.every((tag) => submitted.tags?.includes(tag))
}

function sorted(names: string | readonly string[] | undefined): string[] {
  return [...new Set(typeof names === 'string' ? [names] : names)].sort()
}
