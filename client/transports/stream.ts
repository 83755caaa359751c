import type { Replay } from '../../shared/protocol.ts'
import { JobcastError } from '../errors.ts'
import type { Http } from '../http.ts'
import { Attempts } from '../retry.ts'
import type { CarriedJob, Link, LinkOptions, TransportName } from './link.ts'

/** How one request, or stream, for one job ended. */
export type RoundEnd =
  /** The job is terminal; nothing more is to be done. */
  | { readonly kind: 'done' }
  /** All is well: the next request after a pause. */
  | { readonly kind: 'next'; readonly afterMs: number }
  /** It broke. `counts`: that speaks against the transport. `floorMs`: not again before that. */
  | { readonly kind: 'broken'; readonly counts: boolean; readonly silent: boolean; readonly floorMs: number }
  /** It works, and something on the way makes it useless. */
  | { readonly kind: 'unfit'; readonly message: string }

/** One round: a request or stream for one job, to its end. Rejects with a `JobcastError`. */
export type Round = (context: RoundContext) => Promise<RoundEnd>

export interface RoundContext {
  readonly http: Http
  readonly job: CarriedJob
  /** Fires when the job is dropped, or the round is given up for another. */
  readonly signal: AbortSignal
  /** The first request of this link for this job. */
  readonly first: boolean
  /** The transport works. */
  worked(): void
  /** Something came, if only a ping. */
  heard(): void
  replayed(replay: Replay): void
  /** The server can reach its store, or cannot. */
  available(isAvailable: boolean): void
}

export interface StreamOptions extends LinkOptions {
  readonly http: Http
  readonly transport: TransportName
  readonly capacity: number
  /** There is nothing below on the ladder. */
  readonly last: boolean
  readonly round: Round
}

interface Stream {
  readonly abort: AbortController
  phase: Link['phase']
  /** It has been open since then, on `performance.now()`; null: it is not. */
  openSince: number | null
  /** The round under way. */
  current: AbortController | null
  /** When it last heard something, in ms since 1970: that clock goes on while a machine sleeps. */
  heardOn: number
  /** Ends the pause between two rounds. */
  wake: () => void
  /** The server asked for the pause up to then. */
  awayUntil: number
}

/** A stream that said something so recently is not doubted. */
const FRESH_MS = 5000

/**
 * Transports that make requests per job: server-sent events, long-poll, polling. Each job has a loop of its own:
 * round, pause, round; it ends when the job is dropped, done or refused.
 */
export class StreamLink implements Link {
  readonly transport: TransportName
  readonly capacity: number
  readonly #options: StreamOptions
  readonly #streams = new Map<CarriedJob, Stream>()

  constructor(options: StreamOptions) {
    this.#options = options
    this.transport = options.transport
    this.capacity = options.capacity
  }

  get phase(): Link['phase'] {
    const phases = [...this.#streams.values()].map(({ phase }) => phase)
    if (phases.includes('open')) return 'open'
    if (phases.includes('unavailable')) return 'unavailable'
    return phases.includes('waiting') && !phases.includes('connecting') ? 'waiting' : 'connecting'
  }

  carry(job: CarriedJob): void {
    this.drop(job)
    const stream: Stream = {
      abort: new AbortController(),
      phase: 'connecting',
      openSince: null,
      current: null,
      heardOn: 0,
      wake: () => {},
      awayUntil: 0,
    }
    this.#streams.set(job, stream)
    // Begun after whoever called has finished, so that nothing is reported while it still arranges things.
    queueMicrotask(() => void this.#run(job, stream))
  }

  carries(job: CarriedJob): boolean {
    return this.#streams.has(job)
  }

  drop(job: CarriedJob): void {
    const stream = this.#streams.get(job)
    this.#streams.delete(job)
    stream?.abort.abort()
    stream?.current?.abort()
    stream?.wake()
  }

  /** The next request takes it along. */
  credentialChanged(): void {}

  revive(): void {
    for (const stream of this.#streams.values()) {
      if (performance.now() >= stream.awayUntil) stream.wake()
      if (Date.now() - stream.heardOn >= FRESH_MS) stream.current?.abort()
    }
  }

  close(): void {
    for (const job of [...this.#streams.keys()]) this.drop(job)
  }

  async #run(job: CarriedJob, stream: Stream): Promise<void> {
    const { http, round, owner, random, n, delayMs } = this.#options
    const { signal } = stream.abort
    const attempts = new Attempts(random, n)
    let first = true
    await pause(delayMs, stream)
    while (!signal.aborted) {
      if (stream.phase === 'waiting') this.#shift(stream, 'connecting')
      const current = new AbortController()
      stream.current = current
      stream.heardOn = Date.now()
      const context: RoundContext = {
        http,
        job,
        signal: current.signal,
        first,
        worked: () => {
          if (current.signal.aborted) return
          attempts.worked()
          this.#shift(stream, 'open')
          owner.worked(this)
        },
        heard: () => {
          stream.heardOn = Date.now()
        },
        replayed: (replay) => {
          if (!current.signal.aborted) owner.replayed(this, job, replay)
        },
        available: (isAvailable) => {
          const phase = isAvailable ? 'open' : 'unavailable'
          if (current.signal.aborted || stream.phase === phase) return
          this.#shift(stream, phase)
          if (isAvailable) owner.restored(this, job)
          else owner.interrupted(this, job)
        },
      }
      const end = await round(context).catch((error: unknown) => this.#explain(error, job))
      stream.current = null
      if (signal.aborted) return
      if (end.kind === 'done') return this.drop(job)
      if (current.signal.aborted) continue
      if (end.kind === 'next') {
        first = false
        await pause(end.afterMs, stream)
        continue
      }
      const isUnfit = end.kind === 'unfit'
      const { delayMs, repeated, brief, since } = attempts.over(isUnfit ? {} : end)
      stream.awayUntil = performance.now() + (isUnfit ? 0 : end.floorMs)
      this.#shift(stream, 'waiting')
      owner.interrupted(this, job)
      const failure = isUnfit
        ? // It would work again at once, and be useless again: not before its turn comes.
          { barred: { error: new JobcastError('barred', end.message), forGood: false } }
        : {
            // What works for other jobs is not the transport's fault. One that was opened meanwhile may be cut soon as well.
            silent: end.silent && !this.#someOpenSince(Number.POSITIVE_INFINITY),
            repeated: repeated && !this.#someOpenSince(since),
            brief,
            barred: null,
          }
      owner.failed(this, { ...failure, n: attempts.n, delayMs })
      await pause(delayMs, stream)
    }
  }

  /** What a failed call means for the job. */
  async #explain(error: unknown, job: CarriedJob): Promise<RoundEnd> {
    if (!(error instanceof JobcastError)) throw error
    const { code, status } = error
    const broken = {
      kind: 'broken',
      counts: true,
      silent: code === 'timeout',
      floorMs: error.retryAfterMs ?? 0,
    } as const
    if (status === 401 && (code !== 'http_error' || this.#options.last)) {
      try {
        if (await job.renew()) return { kind: 'next', afterMs: 0 }
      } catch {
        return { ...broken, counts: false }
      }
    }
    const ours = code !== 'http_error'
    if (ours && (status === 503 || status === 429)) return { ...broken, counts: false }
    // A stranger's refusal (a proxy's, that dislikes streams) is final only where there is nothing else to try.
    const final = ours ? isClientError(status) : this.#options.last && [401, 403, 404].includes(status ?? 0)
    if (!final) return broken
    job.refused(error)
    return { kind: 'done' }
  }

  #someOpenSince(time: number): boolean {
    return [...this.#streams.values()].some(({ openSince }) => openSince !== null && openSince <= time)
  }

  #shift(stream: Stream, phase: Link['phase']): void {
    if (stream.phase === phase) return
    stream.phase = phase
    if (phase === 'open') stream.openSince ??= performance.now()
    else if (phase !== 'unavailable') stream.openSince = null
    this.#options.owner.changed(this)
  }
}

function isClientError(status: number | null): boolean {
  return status !== null && status >= 400 && status < 500
}

/** Ends early when the stream is woken, or dropped. */
function pause(ms: number, stream: Stream): Promise<void> {
  if (ms <= 0 || stream.abort.signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    stream.wake = () => {
      clearTimeout(timer)
      resolve()
    }
  })
}
