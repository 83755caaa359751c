import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { createClient, type JobcastClient } from '../client/client.ts'
import type { JobTypes } from '../shared/job-type.ts'
import type { Authorize, JobTokenScope } from './auth/auth.ts'
import { type Config, ConfigError, checkSettings, type Settings, type Store } from './config.ts'
import type { Events } from './events.ts'
import { checkDefinition, type JobDefinition } from './jobs/define-job.ts'
import type { Logger } from './log.ts'
import type { ListenAt, RunningServer } from './server.ts'
import type { GiveBack } from './worker/runner.ts'

export interface JobServerOptions<Jobs extends readonly JobDefinition[] = readonly JobDefinition[]>
  extends Settings {
  /** The job types that it runs and takes, as `defineJob` declares them. */
  readonly jobs: Jobs
  /** Where jobs are stored; `{ sqlite: '.data' }` where it is left out. */
  readonly store?: Store
  /** Says what a caller may do who brings no API key or job token; with it, nobody else may do anything. */
  readonly authorize?: Authorize
  /**
   * Where it writes what it does. Left out, warnings and errors go to the console, in a line each: whoever embeds a server has
   * a log of their own, and wants to know nothing of what goes well. `false`: nothing is written.
   */
  readonly log?: Logger | false
}

/**
 * A job server within a program. It installs no handlers of signals, reads no environment, changes no globals and never ends the
 * process: all of that is the program's own. In particular, what a handler throws where nobody can catch it, as out of a timer, is
 * an uncaught exception of the program; such handlers are better `isolate`d. Several may be in one process. All functions may be
 * called without the object.
 */
export interface JobServer<Jobs extends JobTypes = readonly JobDefinition[]> {
  /** Connects to the store and begins to run jobs. Whatever is called first does so by itself. Rejects in one line that says what to do. */
  start(): Promise<void>
  /**
   * Takes no more jobs, lets those that run end for as long as `drainMs` allows, gives the others back, and closes everything, `client`
   * among it. `start` begins anew; until then nothing is answered.
   */
  stop(): Promise<void>
  /** Serves HTTP and WebSockets by itself; at 127.0.0.1, port 3000, where nothing else is said. Resolves to the address. */
  listen(at?: { readonly port?: number; readonly host?: string }): Promise<{ readonly url: string }>
  /** Answers a request of any framework that has `Request` and `Response`: Hono, Next.js, Bun, Deno. It needs its whole path. */
  fetch(this: void, request: Request): Promise<Response>
  /** Answers a request of Express, connect or `node:http`; calls `next` for what is not under `basePath`. */
  handler(
    this: void,
    request: IncomingMessage,
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ): void
  /** For the `upgrade` event of `node:http`: false, and nothing is done, where the path is not the WebSocket's, `basePath` and `/ws`. */
  upgrade(this: void, request: IncomingMessage, socket: Duplex, head: Buffer): boolean
  /** The client of `jobcast/client`, straight to this server's store: without network, and with every right. */
  readonly client: JobcastClient<Jobs>
  /** A token for one job, to be handed to a browser. */
  token(this: void, scope: JobTokenScope): Promise<string>
}

/** Throws a `ConfigError` or `TypeError` that names the option, or the job type and its field, where one is wrong. */
export function createJobServer<const Jobs extends readonly JobDefinition[]>(
  options: JobServerOptions<Jobs>,
): JobServer<Jobs> {
  const { jobs, log, ...settings } = options
  const config = checkSettings(settings)
  const definitions = distinct(jobs)
  return superviseServer(config, async (listenAt) => {
    const [{ startServer }, { createEvents }, { logEvents, logTo }] = await Promise.all([
      import('./server.ts'),
      import('./events.ts'),
      import('./log.ts'),
    ])
    const events: Events = createEvents()
    const written = logTo(log)
    if (written !== null) logEvents(events, written)
    return startServer({ config, definitions, events, listenAt })
  })
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

/** Modes: see `start` and `stop` of `JobServer`. A start that fails leaves it as it was. */
type State =
  | { readonly is: 'new' | 'stopped' }
  | { readonly is: 'starting'; readonly started: Promise<RunningServer> }
  | { readonly is: 'running'; readonly server: RunningServer }
  | { readonly is: 'stopping'; readonly server: RunningServer; readonly stopped: Promise<void> }

/** What `process.ts` needs of it besides. @internal */
export interface SupervisedServer<Jobs extends JobTypes = readonly JobDefinition[]> extends JobServer<Jobs> {
  stop(giveBack?: GiveBack): Promise<void>
}

/** Starts a server when it is first needed, and is its one `state`. @internal */
export function superviseServer<Jobs extends JobTypes = readonly JobDefinition[]>(
  config: Config,
  begin: (listenAt: ListenAt | null) => Promise<RunningServer>,
): SupervisedServer<Jobs> {
  let state: State = { is: 'new' }
  let client: JobcastClient<Jobs> | null = null

  async function started(listenAt: ListenAt | null): Promise<RunningServer> {
    if (state.is === 'stopping') await state.stopped
    if (state.is === 'running') return state.server
    if (state.is === 'starting') return state.started
    const before = state
    const starting = begin(listenAt).then(
      (server) => {
        state = { is: 'running', server }
        return server
      },
      (error: unknown) => {
        state = before
        throw error
      },
    )
    state = { is: 'starting', started: starting }
    return starting
  }

  /** The server for a call, which starts it; not once it was stopped: a late call must not bring it back. */
  function used(): RunningServer | Promise<RunningServer> {
    if (state.is === 'running' || state.is === 'stopping') return state.server
    if (state.is === 'stopped')
      return Promise.reject(new Error('the job server was stopped: start() starts it again'))
    return started(null)
  }

  async function stop(giveBack?: GiveBack): Promise<void> {
    if (state.is === 'starting') await state.started.catch(() => {})
    if (state.is === 'stopping') return state.stopped
    if (state.is !== 'running') {
      state = { is: 'stopped' }
      return
    }
    const { server } = state
    client?.close()
    client = null
    const stopped = server.stop(giveBack).finally(() => {
      state = { is: 'stopped' }
    })
    state = { is: 'stopping', server, stopped }
    return stopped
  }

  return {
    async start() {
      await started(null)
    },
    stop,
    async listen({ port = 3000, host = '127.0.0.1' } = {}) {
      const server = await started({ port, host })
      return { url: await server.listen({ port, host }) }
    },
    async fetch(request) {
      return (await used()).fetch(request)
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
      if (server instanceof Promise) {
        const onError = () => socket.destroy()
        socket.on('error', onError)
        server
          .then(
            (one) => one.upgrade(request, socket, head),
            () => socket.destroy(),
          )
          .finally(() => socket.removeListener('error', onError))
      } else server.upgrade(request, socket, head)
      return true
    },
    get client() {
      client ??= createClient<Jobs>({
        baseUrl: 'http://localhost',
        transports: ['sse', 'long-poll', 'polling'],
        fetch: async (url, init = {}) => (await used()).call(String(url), init),
      })
      return client
    },
    async token(scope) {
      return (await used()).token(scope)
    },
  }
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.replace(/\?.*$/s, '')
}

/** Answers a request that came to a server which does not start. */
function refuse(
  response: ServerResponse,
  error: unknown,
  next: ((error?: unknown) => void) | undefined,
): void {
  if (next !== undefined) {
    next(error)
    return
  }
  response.writeHead(503, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
  response.end(`${error instanceof Error ? error.message : String(error)}\n`)
}
