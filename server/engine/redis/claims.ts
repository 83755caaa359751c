import type { Claim } from '../engine.ts'
import { decodeBorn } from './codec.ts'
import { decodeKind } from './kind.ts'
import { leaseOfRun } from './lease.ts'
import { text, whole } from './reply.ts'

/** Of a job that a claim brings: id, kind, payload, born and past (lua/lib/claims.lua). */
const CELLS_A_CLAIM = 5
/** Attempt and stalls of a job that nothing has happened to yet. */
const FRESH = [1, 0] as const

export interface DecodedClaims {
  readonly claims: Claim[]
  /** Of these jobs the payload, null here, is too large for the reply and has to be read. */
  readonly large: ReadonlySet<string>
}

/**
 * The replies to the claims of a call, each of which may have payloads behind it (lua/lib/claims.lua); null where the store
 * did not know the pool.
 */
export function decodeClaims(cells: readonly unknown[]): (DecodedClaims | null)[] {
  const claims: (DecodedClaims | null)[] = []
  let at = 0
  while (at < cells.length) {
    const lease = text(cells[at++])
    if (lease === 'unknown_pool') {
      claims.push(null)
      continue
    }
    const now = whole(cells[at++])
    const lines = text(cells[at++])
    claims.push(decodeLines(lease, now, lines, () => text(cells[at++])))
  }
  return claims
}

/** What a worker is sent with a job that is handed over (lua/lib/hand_over.lua). */
export interface HandOver {
  /** The claim that the worker waits under, as it stands in the store. */
  readonly claim: string
  readonly claims: Claim[]
}

/** Null for another message. */
export function decodeHandOver(message: string, worker: string): HandOver | null {
  if (!message.startsWith('run ')) return null
  const end = message.indexOf('\n')
  const [, claim = '', token = '', now] = message.slice(0, end).split(' ')
  const { claims } = decodeLines(`${worker}/${token}`, whole(now), message.slice(end + 1), () => '')
  return { claim, claims }
}

function decodeLines(
  lease: string,
  claimedAt: number,
  lines: string,
  nextPayload: () => string,
): DecodedClaims {
  const claims: Claim[] = []
  const large = new Set<string>()
  const cells = lines === '' ? [] : lines.split('\n')
  for (let at = 0; at < cells.length; at += CELLS_A_CLAIM) {
    const jobId = cells[at] ?? ''
    const { type, policy } = decodeKind(cells[at + 1] ?? '')
    const payload = cells[at + 2] || nextPayload()
    if (payload === '') large.add(jobId)
    const { created, tags } = decodeBorn(cells[at + 3] ?? '')
    const past = cells[at + 4] ?? ''
    const [attempt, stalls] = past === '' ? FRESH : past.split(' ').map(Number)
    claims.push({
      jobId,
      lease: leaseOfRun(lease, jobId),
      type,
      payload: payload === '' ? null : JSON.parse(payload),
      policy,
      attempt: attempt ?? 1,
      stalls: stalls ?? 0,
      tags,
      waitMs: past === '' ? claimedAt - Number(created) : null,
    })
  }
  return { claims, large }
}
