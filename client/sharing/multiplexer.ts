import { advanceCursor, isSameHistory, laterCursor, parseCursor } from '../../shared/cursor.ts'
import type { JobEvent } from '../../shared/event.ts'
import type { QueuePlace } from '../../shared/job.ts'
import type { Replay } from '../../shared/protocol.ts'
import type { Connection, ConnectionState } from '../connection.ts'
import type { JobcastError, JobcastErrorCode } from '../errors.ts'
import type { Readable, Unsubscribe } from '../store.ts'
import { type CarriedJob, isBehind, type TransportName } from '../transports/link.ts'
import type { Answer, JobAnswer, JobRequest, Request } from './channel.ts'

/** Carries what tabs watch over one connection, every job once. */
export class Multiplexer {
  readonly #connection: Connection
  readonly #tabs = new Map<string, (answer: Answer) => void>()
  readonly #jobs = new Map<string, SharedJob>()
  readonly #leave: Unsubscribe

  constructor(connection: Connection) {
    this.#connection = connection
    const { state }: { state: Readable<ConnectionState> } = connection
    this.#leave = state.subscribe(() => {
      for (const tell of [...this.#tabs.values()]) tell({ op: 'state', state: state.getSnapshot() })
    })
  }

  has(tab: string): boolean {
    return this.#tabs.has(tab)
  }

  admit(tab: string, tell: (answer: Answer) => void): void {
    this.#tabs.set(tab, tell)
    tell({ op: 'state', state: this.#connection.state.getSnapshot() })
  }

  dismiss(tab: string): void {
    this.#tabs.delete(tab)
    for (const job of [...this.#jobs.values()]) job.leave(tab)
  }

  hear(tab: string, request: Request): void {
    const tell = this.#tabs.get(tab)
    if (tell === undefined) return
    if (request.op === 'leave') {
      this.dismiss(tab)
      return
    }
    const { jobId, start } = request
    if (request.op === 'subscribe') {
      this.#job(jobId).join(tab, start, request, (answer) => tell({ ...answer, jobId, start }))
      return
    }
    const job = this.#jobs.get(jobId)
    if (request.op === 'unsubscribe') job?.leave(tab, start)
    else if (request.op === 'credential') job?.credentialChanged(tab, start, request.credential)
    else job?.renewed(tab, request.verdict)
  }

  /** Tells nobody. */
  close(): void {
    this.#leave()
    this.#tabs.clear()
    this.#jobs.clear()
    this.#connection.close()
  }

  #job(jobId: string): SharedJob {
    const known = this.#jobs.get(jobId)
    if (known !== undefined) return known
    const job = new SharedJob({
      jobId,
      carry: (one) => this.#connection.carry(one),
      credentialChanged: (one) => this.#connection.credentialChanged(one),
      over: (one) => {
        this.#jobs.delete(jobId)
        this.#connection.drop(one)
      },
    })
    this.#jobs.set(jobId, job)
    return job
  }
}

/** One tab's subscription to the job. */
interface Seat {
  readonly start: number
  readonly tell: (answer: JobAnswer) => void
  /** The tab stood here when it came. */
  readonly cursor: string | null
  readonly history: boolean
  credential: string | undefined
}

type State =
  /** The server's first answer is awaited: to the founder, and to whoever asked for the same. */
  | { readonly kind: 'founding' }
  | { readonly kind: 'flowing'; readonly transport: TransportName }
  | { readonly kind: 'over' }

interface Renewal {
  readonly of: string
  resolve(renewed: boolean): void
  reject(error: Error): void
}

/** Refusals that are about the credential. */
const DENIALS: readonly JobcastErrorCode[] = ['unauthorized', 'forbidden', 'not_found', 'token_expired']
/** How long a tab may take to get a new token, unless it is gone. */
const RENEW_MS = 20_000

export interface SharedJobOptions {
  readonly jobId: string
  /** Subscribe with the cursor, as at first. */
  readonly carry: (job: SharedJob) => void
  readonly credentialChanged: (job: SharedJob) => void
  /** Nobody watches it any more, or nothing more comes. */
  readonly over: (job: SharedJob) => void
}

/**
 * One job that several tabs watch over one connection. Who comes first is its founder: it is subscribed with the
 * founder's cursor and credential. The server's answer begins the flow, of which all get the same; who comes later
 * is told to read by itself from its own cursor up to it, with its own credential, unless it is in step already.
 */
export class SharedJob implements CarriedJob {
  readonly jobId: string
  readonly #options: SharedJobOptions
  readonly #seats = new Map<string, Seat>()
  #state: State = { kind: 'founding' }
  #founder = ''
  #cursor: string | null = null
  #queue: QueuePlace | null = null
  #renewal: Renewal | null = null

  constructor(options: SharedJobOptions) {
    this.jobId = options.jobId
    this.#options = options
  }

  get cursor(): string | null {
    return this.#cursor
  }

  get queue(): QueuePlace | null {
    return this.#queue
  }

  get history(): boolean {
    return this.#cursor !== null || [...this.#seats.values()].some(({ history }) => history)
  }

  get credential(): string | undefined {
    return this.#seats.get(this.#founder)?.credential
  }

  /** A tab subscribes; one that has done so already, afresh. */
  join(
    tab: string,
    start: number,
    { cursor, history, credential }: JobRequest & { op: 'subscribe' },
    tell: (answer: JobAnswer) => void,
  ): void {
    const seat: Seat = { start, tell, cursor, history, credential }
    const alone = this.#seats.size === 0 || (this.#seats.size === 1 && this.#seats.has(tab))
    this.#seats.set(tab, seat)
    if (alone) this.#state = { kind: 'founding' }
    if (this.#state.kind === 'flowing') this.#admit(seat, this.#state.transport)
    else if (alone || this.#founder === tab) this.#found(tab)
  }

  /** A tab unsubscribes, unless it has subscribed afresh since; without `start`, in any case. */
  leave(tab: string, start = this.#seats.get(tab)?.start): void {
    if (start === undefined || this.#seats.get(tab)?.start !== start) return
    const former = this.credential
    this.#seats.delete(tab)
    const [next] = this.#seats.keys()
    if (next === undefined) this.#end()
    else if (this.#founder === tab) {
      this.#founder = next
      if (this.#state.kind === 'founding') this.#found(next)
      else if (this.credential !== former) this.#options.credentialChanged(this)
    }
    // Whoever was asked for a new credential is gone: the next one's is tried.
    if (this.#renewal?.of === tab) this.#renewal.resolve(next !== undefined)
  }

  credentialChanged(tab: string, start: number, credential: string | undefined): void {
    const seat = this.#seats.get(tab)
    if (seat?.start !== start) return
    seat.credential = credential
    if (this.#founder === tab && this.#renewal === null) this.#options.credentialChanged(this)
  }

  renewed(tab: string, verdict: 'yes' | 'no' | 'later'): void {
    if (this.#renewal?.of !== tab) return
    if (verdict === 'later') this.#renewal.reject(new Error('no new credential could be had now'))
    else this.#renewal.resolve(verdict === 'yes')
  }

  replayed(replay: Replay, transport: TransportName): void {
    const founding = this.#state.kind === 'founding'
    const news = founding || this.#cursor === null ? replay : newsOf(replay, this.#cursor)
    this.#cursor = news.cursor
    this.#state = { kind: 'flowing', transport }
    const founder = this.#seats.get(this.#founder)
    for (const seat of [...this.#seats.values()]) {
      if (founding && !isAlike(seat, founder)) this.#admit(seat, transport)
      else if (news.mode === 'snapshot' && seat.history && news.events === undefined) {
        seat.tell({ op: 'joined', transport })
      } else seat.tell({ op: 'replayed', replay: news, transport })
    }
  }

  event(event: JobEvent, prev: number | null): boolean {
    const after = this.#cursor
    if (this.#state.kind !== 'flowing' || after === null) return true
    const { seq } = parseCursor(after)
    if (event.seq <= seq) return true
    if (prev !== null && prev !== seq) return false
    this.#cursor = advanceCursor(after, event.seq)
    // It may have left the line; if it comes back its place is another.
    if (event.kind === 'status') this.#queue = null
    this.#tellAll({ op: 'event', event, after })
    return true
  }

  placed(queue: QueuePlace | null): void {
    this.#queue = queue
    this.#tellAll({ op: 'placed', queue })
  }

  ended(cursor: string): boolean {
    if (this.#cursor === null || laterCursor(this.#cursor, cursor) !== this.#cursor) return false
    this.#tellAll({ op: 'ended', cursor })
    this.#end()
    return true
  }

  refused(error: JobcastError): void {
    const { credential } = this
    const denied = DENIALS.includes(error.code)
    for (const [tab, seat] of [...this.#seats]) {
      if (denied && seat.credential !== credential) continue
      this.#seats.delete(tab)
      seat.tell(refusal(error))
    }
    const [next] = this.#seats.keys()
    if (next === undefined) this.#end()
    else this.#found(next)
  }

  interrupted(): void {
    this.#tellAll({ op: 'interrupted' })
  }

  restored(): void {
    this.#tellAll({ op: 'restored' })
  }

  /** Asks the founder. */
  async renew(): Promise<boolean> {
    this.#renewal?.resolve(false)
    const of = this.#founder
    const answered = new Promise<boolean>((resolve, reject) => {
      this.#renewal = { of, resolve, reject }
    })
    const renewal = this.#renewal
    const timer = setTimeout(() => renewal?.reject(new Error('the tab does not answer')), RENEW_MS)
    this.#seats.get(of)?.tell({ op: 'renew' })
    try {
      return await answered
    } finally {
      clearTimeout(timer)
      if (this.#renewal === renewal) this.#renewal = null
    }
  }

  /** Subscribes for this tab, and for the others with it. */
  #found(tab: string): void {
    this.#founder = tab
    if (this.#state.kind === 'founding') this.#cursor = this.#seats.get(tab)?.cursor ?? null
    this.#options.carry(this)
  }

  /** The flow goes on for one more. */
  #admit(seat: Seat, transport: TransportName): void {
    const { cursor } = seat
    const inStep = cursor !== null && this.#cursor !== null && laterCursor(cursor, this.#cursor) === cursor
    if (inStep && seat.credential === this.credential) {
      seat.tell({ op: 'replayed', replay: { mode: 'resume', cursor, events: [] }, transport })
    } else seat.tell({ op: 'joined', transport })
    if (this.#queue !== null) seat.tell({ op: 'placed', queue: this.#queue })
  }

  #end(): void {
    if (this.#state.kind === 'over') return
    this.#state = { kind: 'over' }
    this.#seats.clear()
    this.#renewal?.resolve(false)
    this.#options.over(this)
  }

  #tellAll(answer: JobAnswer): void {
    for (const { tell } of [...this.#seats.values()]) tell(answer)
  }
}

/** They get the same answer. */
function isAlike(seat: Seat, founder: Seat | undefined): boolean {
  return (
    founder !== undefined &&
    seat.cursor === founder.cursor &&
    seat.credential === founder.credential &&
    (founder.history || !seat.history)
  )
}

/** What of it is new at the cursor. */
function newsOf(replay: Replay, cursor: string): Replay {
  if (replay.mode === 'snapshot') {
    return isBehind(replay, cursor) ? { mode: 'resume', cursor, events: [] } : replay
  }
  if (!isSameHistory(replay.cursor, cursor)) return replay
  const { seq } = parseCursor(cursor)
  const events = replay.events.filter((event) => event.seq > seq)
  return { mode: 'resume', cursor: laterCursor(cursor, replay.cursor), events }
}

function refusal({ code, message, status, errors, retryAfterMs }: JobcastError): JobAnswer {
  return { op: 'refused', code, message, details: { status, errors, retryAfterMs } }
}
