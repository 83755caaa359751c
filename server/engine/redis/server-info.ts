import { createHash } from 'node:crypto'

/** What stands in the store; each is empty where nothing does. */
export interface Marks {
  /** Stands there until it is wiped. */
  readonly mark: string
  /** Which versions may use it (format.ts). */
  readonly format: string
}

/** The server at the other end, as it was when the connection was made. */
export interface ServerInfo extends Marks {
  readonly runId: string
  /** A short name for one life of its data, which ends when its process does or when it is wiped. */
  readonly epoch: string
  /** What is at risk with it, each a sentence for whoever runs it. */
  readonly warnings: readonly string[]
}

const OLDEST_VERSION = [6, 2] as const

export function describeServer(fields: ReadonlyMap<string, string>, marks: Marks): ServerInfo {
  const runId = fields.get('run_id') ?? ''
  return { runId, ...marks, epoch: epochOf(runId, marks.mark), warnings: warningsOf(fields) }
}

/** The same server, once its data were wiped or a newer version has used it. */
export function withMarks(server: ServerInfo, marks: Marks): ServerInfo {
  return { ...server, ...marks, epoch: epochOf(server.runId, marks.mark) }
}

/** Why a server cannot be used, or null. Hopeless is what only a person can change. */
export function objectionTo(
  fields: ReadonlyMap<string, string>,
): { reason: string; hopeless: boolean } | null {
  const version = fields.get('redis_version') ?? '0'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1])) {
    return { reason: `is version ${version}: ${OLDEST_VERSION.join('.')} or newer is needed`, hopeless: true }
  }
  const eviction = objectionToEviction(fields)
  if (eviction !== null) return { reason: eviction, hopeless: true }
  if (fields.get('loading') === '1') return { reason: 'is loading its data', hopeless: false }
  if (fields.get('role') === 'slave') return { reason: 'is a read-only replica', hopeless: false }
  return null
}

/** Why the server's eviction policy cannot be lived with, or null. */
export function objectionToEviction(fields: ReadonlyMap<string, string>): string | null {
  const policy = fields.get('maxmemory_policy')
  if (policy === undefined || policy === 'noeviction') return null
  return `would throw jobs away when it is full (maxmemory-policy ${policy}): set maxmemory-policy noeviction`
}

/** What may be lost with a server that can be used all the same. */
export function warningsOf(fields: ReadonlyMap<string, string>): string[] {
  const warnings: string[] = []
  if (fields.get('aof_enabled') === '0') {
    warnings.push(
      'Redis writes no append-only file: when it dies, every job accepted since its last snapshot is lost; set appendonly yes',
    )
  }
  // Told only where a number of replicas is asked for.
  const asksForReplicas = fields.has('min_slaves_good_slaves')
  if (Number(fields.get('connected_slaves') ?? 0) > 0 && !asksForReplicas) {
    warnings.push(
      'Redis has replicas but does not insist on one: what it accepts while it is cut off from them is lost when one takes over; set min-replicas-to-write 1',
    )
  }
  return warnings
}

/** The `name:value` lines of INFO. */
export function parseInfo(info: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}

function epochOf(runId: string, mark: string): string {
  return createHash('sha256').update(`${runId} ${mark}`).digest('base64url').slice(0, 8)
}
