import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { createClient, type JobcastClient } from '../client/client.ts'
import { JobcastError } from '../client/errors.ts'
import type { JobType, JobTypes } from '../shared/job-type.ts'
import type { Authorize, JobTokenScope } from './auth/auth.ts'
import {
  type Config,
  ConfigError,
  checkSettings,
  inClientOptions,
  type Settings,
  type Store,
} from './config.ts'
import { isOutage } from './engine/errors.ts'
import { isJobId } from './engine/job/ids.ts'
import { checkDefinition, type JobDefinition } from './jobs/define-job.ts'
import type { Logger } from './log.ts'
import type { ListenAt, RunningProducer, RunningServer, ServerParts } from './server.ts'
import type { GiveBack } from './worker/runner.ts'

/** What `createJobServer` is called with: its jobs, and whatever is to be other than usual. */
export interface JobServerOptions<Jobs extends readonly JobDefinition[] = readonly JobDefinition[]>
  extends Settings {
  /** The job types that it takes and runs, as `defineJob` declares them. */
  readonly jobs: Jobs
  /** Where jobs are stored; `{ sqlite: '.data' }` where it is left out. */
  readonly store?: Store
  /** Says what a caller may do who brings no API key or job token; with it, nobody else may do anything. */
  readonly authorize?: Authorize
  /**
   * Where it writes what it does. Left out, warnings and errors go to the console, in a line each: a program has a log of its
   * own, and wants to know nothing of what goes well. `false`: nothing is written.
   */
  readonly log?: Logger | false
}

/**
 * A job server within a program. It installs no handlers of signals, reads no environment, changes no globals and never ends
 * the process: all of that is the program's own. So what a handler throws where nobody can catch it, as out of a timer, is an
 * uncaught exception of the program; a type whose handler may do that is better `isolate`d. A program that loads its modules
 * anew as they change keeps its server in `globalThis`. Several may be in one process. All of its functions may be called
 * without the object.
 */
export interface JobServer<Jobs extends JobTypes = readonly JobType[]> {
  /**
   * Connects to the store and begins to run jobs; whatever else is called first does so by itself. Once it has started, nothing
   * happens. Rejects with an error of one line that says what to do, and may then be called again.
   */
  start(this: void): Promise<void>
  /**
   * Takes no more jobs, lets those that run go on for as long as `drainMs` allows, gives the others back, and closes
   * everything, `client` as well. From then on nothing is answered, until `start` begins anew.
   */
  stop(this: void): Promise<void>
  /**
   * Serves HTTP and WebSockets on a port of its own; 3000 at 127.0.0.1, where nothing else is said (0: any free one). Resolves
   * to the address for `createClient`.
   */
  listen(
    this: void,
    at?: { readonly port?: number; readonly host?: string },
  ): Promise<{ readonly url: string }>
  /**
   * Answers a request of any framework that has `Request` and `Response`: Hono, Next.js, Bun, Deno. It needs the whole path,
   * base path included (of Hono's `mount`: with `{ replaceRequest: false }`). An event stream ends with the request's signal,
   * or once its body is cancelled. There are no WebSockets this way; clients go on with server-sent events.
   */
  fetch(this: void, request: Request): Promise<Response>
  /**
   * Answers a request of Express, connect or `node:http`; calls `next` for what is not under `basePath`, or, where there is
   * none, for what is at no address of its own. It may be mounted at the base path, and before or after `express.json()`.
   */
  handler(
    this: void,
    request: IncomingMessage,
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ): void
  /** For the `upgrade` event of `node:http`: false, and nothing is done, where the path is not `/ws` under `basePath`. */
  upgrade(this: void, request: IncomingMessage, socket: Duplex, head: Buffer): boolean
  /**
   * The client of `jobcast/client`, straight to this server's store: without network, and with every right. It watches jobs;
   * lists it does not (`watchList` is `unsupported`). After a `stop` there is another one.
   */
  readonly client: JobcastClient<Jobs>
  /** A token for one job, to be handed to whoever is to watch it. Rejects with a `TypeError` where the scope is wrong. */
  token(this: void, scope: JobTokenScope): Promise<string>
}

/**
 * Makes a server that starts with its first use. Throws a `ConfigError` or `TypeError` that names the option, or the job type
 * and its field, where one is wrong.
 */
export function createJobServer<const Jobs extends readonly JobDefinition[]>(
  options: JobServerOptions<Jobs>,
): JobServer<Jobs> {
  return createServerOf(options, (parts) => parts)
}

/**
 * Does the same with parts that `change` makes of the usual ones.
 * @internal
 */
export function createServerOf<Jobs extends readonly JobDefinition[]>(
  options: JobServerOptions<Jobs>,
  change: (parts: ServerParts) => ServerParts,
): JobServer<Jobs> {
  assertOptions('createJobServer', options, '{ jobs: [resize] }')
  const { jobs, log, ...settings } = options
  const config = checkSettings(settings)
  checkLog(log)
  const definitions = distinct(jobs)
  const server = superviseServer(
    config,
    async (listenAt) => {
      const { startServer } = await import('./server.ts')
      return startServer(change({ config, definitions, events: await logged(log), listenAt }))
    },
    (error) => tellFailure(log, error),
  )
  // The border: the jobs are those that were given.
  return server as JobServer as JobServer<Jobs>
}

/** What `createJobClient` is called with. */
export interface JobClientOptions<Jobs = unknown> extends Pick<Settings, 'maxBytes' | 'retainMs'> {
  /** `redis://` or `redis+sentinel://`, as its servers have it. */
  readonly redis: string
  /** As its servers have it; `jobcast` where it is left out. */
  readonly prefix?: string
  /**
   * Definitions of the types that are submitted here, whose payloads are checked before they are stored. Left out: the types are
   * those that workers have registered, which check the payloads; `createJobClient<typeof jobs>` may name them all the same.
   */
  readonly jobs?: Jobs & readonly JobDefinition[]
  /** See `createJobServer`. */
  readonly log?: Logger | false
}

/**
 * A client that is straight at the Redis of job servers: it submits from any process, without one of them on the way, and has
 * every right. It connects when it is first used. A process that has nothing else to do ends without waiting for it; `close`
 * closes the connections. Throws a `ConfigError` or `TypeError` that names the option that is wrong.
 */
export function createJobClient<const Jobs extends JobTypes = readonly JobType[]>(
  options: JobClientOptions<Jobs>,
): JobcastClient<Jobs> {
  assertOptions('createJobClient', options, "{ redis: 'redis://localhost:6379' }")
  const { redis, prefix, jobs, log, ...settings } = options
  const store = { redis, ...(prefix !== undefined && { prefix }) }
  const config = checkSettings({ ...settings, store, role: 'api' }, inClientOptions)
  checkLog(log)
  const definitions = distinct(jobs ?? [])
  const supervisor = new Supervisor<RunningProducer, undefined>(async () => {
    const { startProducer } = await import('./server.ts')
    return startProducer({ config, definitions, events: await logged(log) })
  })
  let isClosed = false
  const client = clientOf<Jobs>(async () => {
    if (isClosed) throw new Stopped('the client was closed')
    return supervisor.used(undefined)
  })
  const close = client.close.bind(client)
  return Object.assign(client, {
    close() {
      isClosed = true
      close()
      void supervisor.stop()
    },
  })
}

/** The border: whoever writes JavaScript may have left them out, or given the jobs alone. */
function assertOptions(call: string, options: unknown, example: string): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return
  throw new TypeError(`${call} takes an object of options, such as ${example}`)
}

function distinct(jobs: readonly JobDefinition[]): JobDefinition[] {
  if (!Array.isArray(jobs)) throw new ConfigError('jobs must be an array of what defineJob returns')
  const definitions = jobs.map(checkDefinition)
  const seen = new Set<string>()
  for (const { type } of definitions) {
    if (seen.has(type)) throw new ConfigError(`jobs has two definitions of type "${type}"`)
    seen.add(type)
  }
  return definitions
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** The border: whoever writes JavaScript may have said anything. */
function checkLog(log: unknown): void {
  if (log === undefined || log === false) return
  const functions: unknown[] = LEVELS.map((level) => Reflect.get(Object(log), level)).filter(Boolean)
  if (functions.length > 0 && functions.every((one) => typeof one === 'function')) return
  throw new ConfigError('log must be false, or have functions such as warn and error, as console has')
}

async function logged(log: Logger | false | undefined) {
  const [{ createEvents }, { logEvents, logTo }] = await Promise.all([
    import('./events.ts'),
    import('./log.ts'),
  ])
  const events = createEvents()
  const written = logTo(log)
  if (written !== null) logEvents(events, written)
  return events
}

/** A server that was to start by itself has no other way to say why it did not. */
async function tellFailure(log: Logger | false | undefined, error: unknown): Promise<void> {
  const { loggedError, logTo } = await import('./log.ts')
  const message = error instanceof Error ? error.message : String(error)
  const foreseen = error instanceof ConfigError || isOutage(error)
  logTo(log)?.error(foreseen ? {} : { err: loggedError(error) }, `the job server did not start: ${message}`)
}

/** Modes: `new` until it is started; a start that fails leaves it as it was before. */
type State<Running> =
  | { readonly is: 'new' | 'stopped' }
  | { readonly is: 'starting'; readonly started: Promise<Running> }
  | { readonly is: 'running'; readonly running: Running }
  | { readonly is: 'stopping'; readonly running: Running; readonly stopped: Promise<void> }

/** Starts what is needed when it is, and ends it. */
class Supervisor<Running extends { stop(giveBack?: GiveBack): Promise<void> }, Beginning> {
  readonly #begin: (beginning: Beginning) => Promise<Running>
  #state: State<Running> = { is: 'new' }

  constructor(begin: (beginning: Beginning) => Promise<Running>) {
    this.#begin = begin
  }

  /** Resolves to what runs; `beginning` counts where nothing does yet. */
  async started(beginning: Beginning): Promise<Running> {
    if (this.#state.is === 'stopping') await this.#state.stopped
    if (this.#state.is === 'running') return this.#state.running
    if (this.#state.is === 'starting') return this.#state.started
    const before = this.#state
    const started = this.#begin(beginning).then(
      (running) => {
        this.#state = { is: 'running', running }
        return running
      },
      (error: unknown) => {
        this.#state = before
        throw error
      },
    )
    this.#state = { is: 'starting', started }
    return started
  }

  /** The same for a call, which finds it draining as well. Once it was stopped it is gone: a late call must not bring it back. */
  used(beginning: Beginning): Running | Promise<Running> {
    if (this.#state.is === 'running' || this.#state.is === 'stopping') return this.#state.running
    return this.#state.is === 'stopped' ? Promise.reject(new Stopped()) : this.started(beginning)
  }

  async stop(giveBack?: GiveBack): Promise<void> {
    if (this.#state.is === 'starting') await this.#state.started.catch(() => {})
    if (this.#state.is === 'stopping') return this.#state.stopped
    if (this.#state.is !== 'running') {
      this.#state = { is: 'stopped' }
      return
    }
    const { running } = this.#state
    const stopped = running.stop(giveBack).finally(() => {
      this.#state = { is: 'stopped' }
    })
    this.#state = { is: 'stopping', running, stopped }
    return stopped
  }
}

class Stopped extends Error {
  override readonly name = 'Stopped'

  constructor(message = 'the job server was stopped; start() starts it again') {
    super(message)
  }
}

/** What `process.ts` needs of it besides. @internal */
export interface SupervisedServer extends JobServer {
  stop(this: void, giveBack?: GiveBack): Promise<void>
}

/** A server that starts when it is first used; `onFailure` hears why it could not, where that was by itself. @internal */
export function superviseServer(
  config: Config,
  begin: (listenAt: ListenAt | null) => Promise<RunningServer>,
  onFailure: (error: unknown) => void = () => {},
): SupervisedServer {
  const supervisor = new Supervisor(begin)
  let client: JobcastClient | null = null

  function used(): RunningServer | Promise<RunningServer> {
    const running = supervisor.used(null)
    if (running instanceof Promise) {
      running.catch((error: unknown) => {
        if (!(error instanceof Stopped)) onFailure(error)
      })
    }
    return running
  }

  return {
    async start() {
      await supervisor.started(null)
    },
    stop(giveBack) {
      client?.close()
      client = null
      return supervisor.stop(giveBack)
    },
    async listen({ port = 3000, host = '127.0.0.1' } = {}) {
      const server = await supervisor.started({ port, host })
      return { url: await server.listen({ port, host }) }
    },
    async fetch(request) {
      try {
        return await (await used()).fetch(request)
      } catch (error) {
        return refusalOf(error)
      }
    },
    handler(request, response, next) {
      const server = used()
      if (!(server instanceof Promise)) return server.handler(request, response, next)
      server.then(
        ({ handler }) => handler(request, response, next),
        (error: unknown) => refuse(response, error, next),
      )
    },
    upgrade(request, socket, head) {
      if (config.role === 'worker' || pathOf(request) !== `${config.basePath}/ws`) return false
      const server = used()
      if (server instanceof Promise) upgradeLater(server, request, socket, head)
      else server.upgrade(request, socket, head)
      return true
    },
    get client() {
      client ??= clientOf(used)
      return client
    },
    async token(scope) {
      checkScope(scope)
      return (await used()).token(scope)
    },
  }
}

/** What a client in this process makes its calls with. */
type Callee = Pick<RunningProducer, 'call'>

function clientOf<Jobs extends JobTypes>(used: () => Callee | Promise<Callee>): JobcastClient<Jobs> {
  return createClient<Jobs>({
    baseUrl: 'http://localhost',
    transports: ['sse', 'long-poll', 'polling'],
    async fetch(url, { method = 'GET', headers, body, signal } = {}) {
      // The border: this is how the client makes its calls.
      const given = headers as Readonly<Record<string, string>>
      const text = typeof body === 'string' ? body : null
      try {
        signal?.throwIfAborted()
        const callee = await used()
        return await callee.call({
          url: String(url),
          method,
          headers: given,
          body: text,
          signal: signal ?? new AbortController().signal,
        })
      } catch (error) {
        if (error instanceof Stopped) throw new JobcastError('closed', error.message)
        if (isOutage(error)) throw new JobcastError('unavailable', error.message, { cause: error })
        throw error
      }
    },
  })
}

function checkScope(scope: JobTokenScope): void {
  assertOptions('token', scope, "{ jobId, rights: 'watch' }")
  const { jobId, rights, ttlMs } = scope
  if (typeof jobId !== 'string' || !isJobId(jobId))
    throw new TypeError('token: jobId must be the id of a job')
  if (rights !== 'watch' && rights !== 'control')
    throw new TypeError("token: rights must be 'watch' or 'control'")
  if (ttlMs !== undefined && !(Number.isInteger(ttlMs) && ttlMs >= 1000))
    throw new TypeError('token: ttlMs must be a whole number of ms, 1000 or more')
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.replace(/\?.*$/s, '')
}

function upgradeLater(
  server: Promise<RunningServer>,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  // Nobody listens meanwhile: a peer that resets now must not end the process.
  const onError = () => socket.destroy()
  socket.on('error', onError)
  server.then(
    ({ upgrade }) => {
      socket.removeListener('error', onError)
      upgrade(request, socket, head)
    },
    () => socket.destroy(),
  )
}

/** The answer where the server does not run; rejects with the error where it is not one that passes by itself. */
async function refusalOf(error: unknown): Promise<Response> {
  if (!(error instanceof Stopped) && !isOutage(error)) throw error
  const { problemResponse, unavailable } = await import('./http/problem.ts')
  // Where the store is concerns no caller.
  const detail = error instanceof Stopped ? error.message : 'the job server did not start; its log says why'
  return problemResponse(unavailable(detail)).toResponse()
}

function refuse(
  response: ServerResponse,
  error: unknown,
  next: ((error?: unknown) => void) | undefined,
): void {
  refusalOf(error).then(
    async (answer) => {
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(await answer.text())
    },
    (unforeseen: unknown) => {
      if (next !== undefined) return next(unforeseen)
      response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' })
      response.end('the job server did not start; its log says why\n')
    },
  )
}
