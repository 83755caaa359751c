import type { JobEvent } from '../../../shared/event.ts'
import type { Job } from '../../../shared/job.ts'
import type { SnapshotReason } from '../../../shared/protocol.ts'
import { isTerminal } from '../../../shared/status.ts'

/** What a subscriber was told, in order, over all of its connections. */
export type Sighting =
  /** It began with a cursor. */
  | { readonly saw: 'start'; readonly epoch: string; readonly seq: number }
  | { readonly saw: 'snapshot'; readonly reason: SnapshotReason; readonly epoch: string; readonly job: Job }
  /** `prev` where the transport says it: of live events on a WebSocket. */
  | { readonly saw: 'event'; readonly event: JobEvent; readonly prev: number | null }
  | { readonly saw: 'end' }
  /** There is no such job (any more). */
  | { readonly saw: 'gone' }

/** Every event of the job that is retained; null where the job was lost. */
export type History = readonly JobEvent[] | null

const seqOf = (job: Job) => Number(job.cursor.slice(job.cursor.lastIndexOf('.') + 1))

function isTerminalEvent(event: JobEvent): boolean {
  return event.kind === 'status' && event.data.status !== undefined && isTerminal(event.data.status)
}

/**
 * What of invariant I2 does not hold: within an epoch the seqs rise, nothing but merged progress is left out, the
 * terminal event comes once and `end` behind it; a snapshot says why it stands in for what came before.
 */
export function breachesOfOrder(sightings: readonly Sighting[], history: History): string[] {
  const breaches: string[] = []
  let epoch: string | null = null
  let seq = 0
  let ended = false
  let isDone = false
  const skipped: { epoch: string; seq: number }[] = []

  const apply = (event: JobEvent, prev: number | null) => {
    if (epoch === null) breaches.push(`event ${event.seq} came before any snapshot`)
    if (prev !== null && prev !== seq)
      breaches.push(`event ${event.seq} follows ${prev}, the last was ${seq}`)
    if (event.seq <= seq) breaches.push(`event ${event.seq} came after ${seq}`)
    for (let gap = seq + 1; gap < event.seq; gap += 1) skipped.push({ epoch: epoch ?? '', seq: gap })
    if (isDone) breaches.push(`event ${event.seq} came after the terminal one`)
    isDone ||= isTerminalEvent(event)
    seq = event.seq
  }

  for (const sighting of sightings) {
    if (ended) breaches.push(`${sighting.saw} after the end`)
    if (sighting.saw === 'start') {
      epoch = sighting.epoch
      seq = sighting.seq
    } else if (sighting.saw === 'snapshot') {
      const { job, reason } = sighting
      if (reason === 'new' && epoch !== null) breaches.push('a snapshot without a reason')
      if (sighting.epoch === epoch && reason === 'epoch')
        breaches.push('a snapshot of the same epoch says another')
      if (sighting.epoch === epoch && seqOf(job) < seq)
        breaches.push(`went back from ${seq} to ${seqOf(job)}`)
      epoch = sighting.epoch
      seq = seqOf(job)
      isDone = isTerminal(job.status)
    } else if (sighting.saw === 'event') {
      apply(sighting.event, sighting.prev)
    } else {
      ended = true
      if (sighting.saw === 'end' && !isDone) breaches.push('the end came without a terminal status')
    }
  }

  // Of an epoch whose history was lost nobody can say what is missing.
  const missing = skipped.filter((one) => one.epoch === epoch).map((one) => one.seq)
  const lost = (history ?? []).filter((event) => event.kind !== 'progress' && missing.includes(event.seq))
  for (const { seq: lostSeq, kind } of lost) breaches.push(`${kind} event ${lostSeq} was never shown`)
  return breaches
}
