import type { JobErrorCode } from '../shared/codes.ts'
import type { ProcessConfig } from './config.ts'
import type { Events } from './events.ts'
import { inSource, withoutOwn } from './source-maps.ts'
import { readThrown, stackText, type Thrown } from './thrown.ts'

/** Errors with these codes are worded by a schema, which may quote the value that it refuses: the job alone has them. */
const QUOTING = new Set<JobErrorCode | null>(['invalid_payload', 'invalid_result'])

/** What is written down. Details have no payload, result or key in them. */
export interface Log {
  isLevelEnabled(level: 'debug' | 'warn'): boolean
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

type Write = (message: string, details: object) => void

/**
 * Where an embedded server writes what it does: functions that are called with a sentence and an object of details, as those
 * of `console` and winston are; those of pino, which take them the other way round, are known by its `bindings`. What is left
 * out is not written.
 */
export interface Logger {
  readonly debug?: Write
  readonly info?: Write
  readonly warn?: Write
  readonly error?: Write
}

/** Logs of a process of its own go to standard error: JSON lines, or coloured text where it is a terminal. */
export async function createLog(level: ProcessConfig['logLevel']): Promise<Log> {
  const { pino } = await import('pino')
  // Errors are told by `loggedError`, which knows what may be.
  const options = { level, serializers: { err: (logged: unknown) => logged } }
  if (!process.stderr.isTTY) {
    const destination = pino.destination({ dest: 2, sync: true })
    // Where nobody reads any more, that would be one more thing to tell nobody of.
    destination.on('error', () => {})
    const lines: Log = pino(options, destination)
    return lines
  }
  const { default: pretty } = await import('pino-pretty')
  const log: Log = pino(
    options,
    pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' }),
  )
  return log
}

/** Writes down what the process does; no other place logs by hand. */
export function logEvents(events: Events, log: Log): void {
  logRuns(events, log)
  logServer(events, log)
}

function logRuns(events: Events, log: Log): void {
  events.on('run.claimed', (run) => log.debug(run, 'run claimed'))
  events.on('run.settled', (settled) => {
    const failed = settled.status === 'failed' || settled.status === 'scheduled'
    const level = failed ? 'warn' : 'debug'
    // Runs are many, and of most of them nothing is written down.
    if (!log.isLevelEnabled(level)) return
    const { thrown, ...run } = settled
    let error = run.error && withoutValues(run.error)
    if (thrown?.showsContent) error = 'the job says what was thrown'
    else if (thrown === null && QUOTING.has(run.errorCode)) error = 'the job says what its schema refused'
    const told = { ...run, error, ...(failed && thrown && { err: loggedThrown(thrown) }) }
    log[level](told, failed ? 'run failed' : 'run settled')
  })
}

/** All but how runs went. */
export function logServer(events: Events, log: Log): void {
  events.on('run.lost', (run) =>
    log.warn(run, 'lease lost: the run was told to stop, its outcome is discarded'),
  )
  events.on('run.abandoned', (run) =>
    log.warn(run, 'job given back as stalled: this process may end because of it'),
  )
  // An interval throws for ever.
  const leftovers = new Seldom(MOST_JOBS)
  events.on('run.uncaught', ({ error, ...run }) => {
    if (!leftovers.allows(run.jobId)) return
    log.error(
      { ...run, err: loggedThrown(readThrown(error, null)) },
      'uncaught: something that the handler had begun threw after its run was decided',
    )
  })
  events.on('run.overstayed', (run) =>
    log.warn(
      run,
      run.killed ? 'isolated handler killed' : 'handler goes on after it was told to stop; it holds its slot',
    ),
  )
  events.on('run.returned', (run) =>
    log.info(run, 'handler that went on after it was told to stop has ended; its slot is free'),
  )
  events.on('run.put_off', (run) =>
    log.debug(run, 'job put off: the handler of an earlier attempt still goes on in this process'),
  )
  events.on('worker.stuck', (what) =>
    log.error(
      what,
      'nothing runs in this process any more: every slot is held by a handler that goes on after it was told to stop; start the process again, or set JOBCAST_HUNG_EXIT_MS to have it end by itself',
    ),
  )
  events.on('worker.unstuck', () => log.info({}, 'a slot is free again: jobs run'))
  events.on('types.unserved', (what) => log.warn(what, 'jobs wait, and no live worker runs their types'))
  events.on('jobs.rescued', (batch) => log.warn(batch, 'took back jobs whose lease had run out'))
  events.on('jobs.promoted', (batch) => log.debug(batch, 'scheduled jobs queued'))
  events.on('jobs.pruned', (batch) => log.debug(batch, 'finished jobs forgotten'))
  events.on('feed.missed', (what) =>
    log.warn(what, 'the periodic check found an event that the feed had not shown'),
  )
  events.on('feed.reset', (what) => log.info(what, 'feed reset: everything watched is read again'))
  events.on('store.down', (what) => log.error(what, 'store unavailable'))
  events.on('store.newer', (what) =>
    log.warn(what, 'the store holds what only a newer version knows; it is passed over: update this process'),
  )
  events.on('store.up', ({ epoch, warnings }) => {
    log.info({ epoch }, 'store available')
    for (const warning of warnings) log.warn({ epoch }, warning)
  })
  const refusals = new Seldom(MOST_REMEDIES)
  events.on('origin.refused', ({ origin, host, remedy }) => {
    if (!refusals.allows(remedy)) return
    const refused = { origin: printable(origin), host: printable(host), remedy }
    log.warn(refused, 'refused by its Origin or Host; the remedy would let it in')
  })
  events.on('http.answered', (answer) => log[answer.status >= 500 ? 'warn' : 'debug'](answer, 'answered'))
  events.on('schema.failed', ({ type, error }) =>
    log.error(
      { type, err: loggedError(error) },
      'the payload schema of a type failed: the submission was refused',
    ),
  )
  events.on('process.draining', (why) => log.info(why, 'draining'))
  events.on('failure', ({ where, error }) => log.error({ where, err: loggedError(error) }, 'failure'))
}

/** The log of an embedded server: what it was given; left out, warnings and errors on the console; `false`: nothing. */
export function logTo(logger: Logger | false | undefined): Log | null {
  if (logger === false) return null
  if (logger === undefined) return toLog({ warn: onConsole('warn'), error: onConsole('error') })
  return toLog(logger)
}

function toLog(logger: Logger): Log {
  const isPino = typeof Reflect.get(logger, 'bindings') === 'function'
  const writer = (level: keyof Logger) => (details: object, message: string) => {
    if (isPino) Reflect.apply(logger[level] ?? (() => {}), logger, [details, message])
    else logger[level]?.(message, details)
  }
  return {
    isLevelEnabled: (level) => logger[level] !== undefined,
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
  }
}

/** One line, and behind it the stack of what was thrown, where something was. */
function onConsole(level: 'warn' | 'error'): Write {
  return (message, details) => {
    const { err, ...facts } = details as { readonly err?: LoggedError }
    const told = Object.entries(facts).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
    const stack = err === undefined ? '' : `\n${err.stack}`
    // biome-ignore lint/suspicious/noConsole: whoever gave no log has this one.
    console[level](`jobcast: ${message}${told.length > 0 ? ` (${told.join(', ')})` : ''}${stack}`)
  }
}

/** What the log may say of an error. */
interface LoggedError {
  readonly type: string
  readonly message: string
  readonly code?: string
  /** Name, message and frames, and those of its causes. */
  readonly stack: string
}

/**
 * An error as it goes into the log: what it is, what it says, where it was made and what caused it, and nothing else that
 * hangs on it. Libraries hang a command with its arguments, a request with its headers, a buffer that could not be parsed
 * on theirs, and so a payload or a key would be written down.
 */
export function loggedError(error: unknown): LoggedError {
  return logged(readThrown(error, null), inSource)
}

/** What a handler threw; where its own code is to be seen, ours, which had called it, is left out. */
function loggedThrown(thrown: Thrown): LoggedError {
  return logged({ ...thrown, message: loggedMessage(thrown) }, (stack) => inSource(withoutOwn(stack)))
}

/** What a log may say of the message. */
function loggedMessage({ message, showsContent }: Thrown): string {
  return showsContent ? 'an object that is no error: the job says which' : message
}

function logged(thrown: Thrown, shown: (stack: string) => string): LoggedError {
  const { name, message, code } = thrown
  return {
    type: name,
    message: withoutValues(message),
    ...(code !== null && { code }),
    stack: shown(stackText(thrown, withoutValues)),
  }
}

/**
 * Without what two messages quote that are not ours to word: Redis repeats the arguments of a command it does not know,
 * and V8 the text that is not JSON.
 */
function withoutValues(message: string): string {
  return message
    .replace(/,? with args beginning with:[\s\S]*/, '')
    .replace(/(?:, )?(?:\.\.\.)?"[\s\S]*"(?:\.\.\.)? is not valid JSON/, ': the text is not valid JSON')
}

/** A terminal does what control characters say, wherever they come from. */
function printable(header: string | undefined): string | undefined {
  return header?.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)
}

const MINUTE_MS = 60_000
const MOST_REMEDIES = 10
const MOST_JOBS = 1000

/** What anybody can bring about must not fill the log: each key once a minute, and so many keys at most. */
class Seldom {
  readonly #mostKeys: number
  readonly #seen = new Set<string>()
  #since = Number.NEGATIVE_INFINITY

  constructor(mostKeys: number) {
    this.#mostKeys = mostKeys
  }

  allows(key: string): boolean {
    const now = performance.now()
    if (now - this.#since >= MINUTE_MS) {
      this.#seen.clear()
      this.#since = now
    }
    if (this.#seen.has(key) || this.#seen.size >= this.#mostKeys) return false
    this.#seen.add(key)
    return true
  }
}
