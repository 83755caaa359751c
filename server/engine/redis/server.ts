import { createHash } from 'node:crypto'
import { Unavailable } from '../errors.ts'

/** It says where Redis is: a server, or the sentinels that know which server is the master at the moment. */
export type RedisAddress =
  | { readonly kind: 'server'; readonly url: string; readonly name: string }
  | {
      readonly kind: 'sentinel'
      readonly sentinels: readonly Endpoint[]
      /** Under which the sentinels know it. */
      readonly master: string
      readonly username: string | undefined
      readonly password: string | undefined
      readonly database: number
      readonly tls: boolean
      /** It is for people, and has no secret in it. */
      readonly name: string
    }

/** Redis as a process goes to it. */
export type RedisAccess = RedisAddress & {
  /** What the address and the prefix are called where they were set, for messages that say which to change. */
  readonly names: { readonly redis: string; readonly prefix: string }
  /** Whether a connection that owes no answer lets the process end. */
  readonly isBackground: boolean
}

interface Endpoint {
  readonly host: string
  readonly port: number
}

const SENTINEL_PORT = 26379
const REDIS_PORT = '6379'
/** Anything else in the address would reach the driver as options of its own. */
const DATABASE = /^(\/\d{0,4})?$/
/** `redis+sentinel://[user[:password]@]host[:port][,…]/master[/database]`: lists of hosts are beyond WHATWG URLs. */
const SENTINEL = /^redis(s?)\+sentinel:\/\/(?:([^@/]*)@)?([^@/?#]+)\/([\w.-]+)(?:\/(\d{1,4}))?$/
const ENDPOINT = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i

/** Reads an address; null for what is no address of Redis. */
export function parseRedisAddress(text: string): RedisAddress | null {
  return SENTINEL.test(text) ? parseSentinels(text) : parseServer(text)
}

function parseServer(text: string): RedisAddress | null {
  if (!URL.canParse(text)) return null
  const { protocol, hostname, port, pathname, search, hash } = new URL(text)
  const isPlain = search === '' && hash === '' && DATABASE.test(pathname)
  if (!isPlain || hostname === '' || !['redis:', 'rediss:'].includes(protocol)) return null
  return { kind: 'server', url: text, name: `${hostname}:${port === '' ? REDIS_PORT : port}` }
}

function parseSentinels(text: string): RedisAddress | null {
  const [, tls, user = '', hosts = '', master = '', database = '0'] = SENTINEL.exec(text) ?? []
  const sentinels = hosts.split(',').map(parseEndpoint)
  const colon = user.indexOf(':')
  const username = decode(colon === -1 ? user : user.slice(0, colon))
  const password = colon === -1 ? '' : decode(user.slice(colon + 1))
  if (!sentinels.every((one) => one !== null) || username === null || password === null) return null
  return {
    kind: 'sentinel',
    sentinels,
    master,
    username: username === '' ? undefined : username,
    password: password === '' ? undefined : password,
    database: Number(database),
    tls: tls === 's',
    name: `master ${master} of the sentinels ${hosts}`,
  }
}

function parseEndpoint(text: string): Endpoint | null {
  const [, ipv6, name, port] = ENDPOINT.exec(text) ?? []
  const host = ipv6 ?? name
  const number = port === undefined ? SENTINEL_PORT : Number(port)
  return host === undefined || number < 1 || number > 65_535 ? null : { host, port: number }
}

/** Percent-encoded, as in every address; null where it is not. */
function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/**
 * What processes of several versions that share a store have to know of one another, as `<version> <oldest>` in the key
 * `format`. Whatever writes something that the release before did not know raises the version: an older process passes over what
 * it does not know (`NewerWords`) and works on. What it would misread, or spoil, raises the oldest as well: from then on an
 * older process does not begin, and one that runs finds it within 13 s, and takes no more part.
 */
export const FORMAT = { version: 1, oldest: 1 } as const

interface Format {
  /** It is that of the newest process that has used the store. */
  readonly version: number
  /** The lowest version that may. */
  readonly oldest: number
}

/** Reads a format; null where nothing is stored. What cannot be read is of a version that this one can only be too old for. */
function parseFormat(stored: string): Format | null {
  if (stored === '') return null
  const match = /^(\d{1,9}) (\d{1,9})( |$)/.exec(stored)
  return match === null
    ? { version: Infinity, oldest: Infinity }
    : { version: Number(match[1]), oldest: Number(match[2]) }
}

/** Whether this version has to say that it is there. */
export function isBehind(stored: string): boolean {
  const format = parseFormat(stored)
  return format === null || format.version < FORMAT.version
}

/** Why a store with this format may not be used by this version, or null. */
export function objectionToFormat(stored: string, prefix = 'JOBCAST_PREFIX'): string | null {
  const format = parseFormat(stored)
  if (format === null || format.oldest <= FORMAT.version) return null
  const version = format.version === Infinity ? 'that it cannot read' : `${format.version}`
  return (
    `holds what a newer version of Jobcast has written (format ${version}, this one knows ${FORMAT.version}): ` +
    `install that version or newer, or set ${prefix} to another one`
  )
}

/** What stands in the store; each is empty where nothing does. */
export interface Marks {
  /** Stands there until it is wiped. */
  readonly mark: string
  /** Which versions may use it (`FORMAT`). */
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

/** What a server answers that does not know the user or the password. */
export const UNWELCOME = /WRONGPASS|NOAUTH|NOPERM|invalid password/

const NOT_ALLOWED = 'does not allow this user to do that'
/** It stands in an error that a script came upon. */
const IN_SCRIPT = /script: [0-9a-f]{40}|user_script/

/** What a server answers, before anything was changed, that takes no commands at the moment. */
const REFUSALS = [
  ['LOADING', 'is loading its data'],
  ['READONLY', 'is a read-only replica'],
  ['MISCONF', 'cannot save its data to disk and takes no writes'],
  ['OOM command', 'is out of memory and takes no new jobs'],
  ['BUSY ', 'is busy with another script'],
  ['MASTERDOWN', 'is a replica without its master'],
  ['NOREPLICAS', 'has too few replicas to take writes'],
  ['NOAUTH', 'asks for a password'],
  ['NOPERM', NOT_ALLOWED],
  // The same within a script, where Redis 7.0 has other words.
  ["can't run this command", NOT_ALLOWED],
  ['CLUSTERDOWN', 'is part of a cluster that is down'],
] as const

/** The server refused a command that is wrong, or a script came to no end. Its arguments are not told: they may be payloads. */
class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
}

/** A command was sent, and its answer did not come: it may or may not have been carried out. */
export class AnswerLost extends Error {
  override readonly name = 'AnswerLost'
}

/** A script came to no end, since it may not do all that it does: it may have changed something, and will be mended. */
export class ScriptBroken extends Error {
  override readonly name = 'ScriptBroken'
}

/** What it means for a command that it failed like this, on a connection that has a name and says what keeps it from being used. */
export function failureOf(
  error: Error,
  command: string,
  { name, reason }: { readonly name: string; readonly reason: string },
): Error {
  const refusal = REFUSALS.find(([code]) => error.message.includes(code))
  if (refusal !== undefined) {
    // Every other refusal comes before the first write.
    const isHalfDone = refusal[1] === NOT_ALLOWED && IN_SCRIPT.test(error.message)
    return new (isHalfDone ? ScriptBroken : Unavailable)(`${name} ${refusal[1]}`)
  }
  // Not the error of ioredis itself: the command hangs on it, with all its arguments.
  if (error.name === 'ReplyError') return new CommandFailed(`${command}: ${firstLine(error)}`)
  if (error.message.startsWith("Stream isn't writeable")) return new Unavailable(reason)
  return new AnswerLost(`the connection to ${name} was lost (${firstLine(error)})`)
}

export function firstLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const text = error.message === '' && 'code' in error ? String(error.code) : error.message
  // Redis repeats the arguments of a command that it does not know.
  return text.split(/\n|,? with args beginning with:/)[0] ?? ''
}
