import { laterCursor } from '../../shared/cursor.ts'
import type { JobEvent } from '../../shared/event.ts'
import type { JobSummary, QueuePlace } from '../../shared/job.ts'
import type { ClientFrame, Replay, ServerFrame } from '../../shared/protocol.ts'
import type { JobcastError } from '../errors.ts'
import type { Timer } from '../time.ts'

export type TransportName = 'websocket' | 'sse' | 'long-poll' | 'polling'

/** A watched job, as whatever carries it sees it. */
export interface CarriedJob {
  readonly jobId: string
  /** The last event applied; null: start with a snapshot. */
  readonly cursor: string | null
  /** What it was told last of its place in line. */
  readonly queue: QueuePlace | null
  /** A snapshot shall bring the retained events along. */
  readonly history: boolean
  /** Job token or API key. */
  readonly credential: string | undefined

  /** The subscription stands, or stands anew. */
  replayed(replay: Replay, transport: TransportName): void
  /**
   * A live event. `prev` is the seq before it where the transport tells. False: something is missing in between,
   * subscribe again with the cursor.
   */
  event(event: JobEvent, prev: number | null): boolean
  /** The job stands here in line, for as long as it is queued; null: not known. */
  placed(queue: QueuePlace | null): void
  /** The job is terminal, at this cursor. False: its last event is missing, subscribe again with the cursor. */
  ended(cursor: string): boolean
  /** Nothing will ever come. */
  refused(error: JobcastError): void
  /** The link broke, or the server lost its store; it is being mended. */
  interrupted(): void
  /** The server has its store again, and nothing was missed meanwhile. */
  restored(): void
  /**
   * The credential was not accepted: gets another one. False: there is none to be had. Rejects when that could not
   * be found out now.
   */
  renew(): Promise<boolean>
}

/** A snapshot of this same history that is older than the cursor: from a link that lags behind another. */
export function isBehind(replay: Replay & { mode: 'snapshot' }, cursor: string): boolean {
  if (replay.reason === 'ahead' || replay.reason === 'epoch') return false
  return laterCursor(cursor, replay.cursor) === cursor && cursor !== replay.cursor
}

/** Which jobs a list has, as the frame says it. */
export type ListFilter = Pick<Extract<ClientFrame, { op: 'watch' }>, 'type' | 'tag' | 'jobIds' | 'limit'>

/** A list, as whatever carries it sees it. */
export interface CarriedList {
  /** Unique on a client. */
  readonly name: string
  readonly filter: ListFilter
  /** API key. */
  readonly credential: string | undefined

  /** The whole list; replaces what was known of it. */
  listed(jobs: readonly JobSummary[], missing: readonly string[]): void
  changed(jobs: readonly JobSummary[], gone: readonly string[]): void
  /** Nothing will ever come. */
  refused(error: JobcastError): void
  /** The link broke, or the server is busy; it is being mended. */
  interrupted(): void
  /** The link at work can carry lists, or cannot. */
  carried(isSupported: boolean): void
  /** Makes what carries this list, and all others, over a WebSocket. */
  carrierOver(send: (frame: ClientFrame) => void, random: () => number): ListCarrier
}

/** A frame that belongs to a list, or to nothing that it names. */
export type ListFrame = Extract<ServerFrame, { op: 'list' | 'changes' | 'unwatched' | 'error' }>

/** Carries the lists of one WebSocket link, which tells it how that goes. */
export interface ListCarrier {
  readonly size: number
  carry(list: CarriedList): void
  carries(list: CarriedList): boolean
  drop(list: CarriedList): void
  opened(): void
  interrupted(): void
  hear(frame: ListFrame): void
  close(): void
}

/** How an attempt to carry failed. */
export interface Failure {
  /** It opened and said nothing, or never opened within its time. */
  readonly silent?: boolean
  /** Three quick failures in a row. */
  readonly repeated?: boolean
  /** All three opened, and were cut soon: it is not the server that is away. */
  readonly brief?: boolean
  /** The server said to stay away; `forGood`, or until the transport's turn comes again. */
  readonly barred: { readonly error: JobcastError; readonly forGood: boolean } | null
  /** Failures in a row, and the pause that follows, in ms. */
  readonly n: number
  readonly delayMs: number
}

/** Whoever opened the link. */
export interface LinkOwner {
  /** The transport works: hello, a first event, an answer. */
  worked(link: Link): void
  /** Called for every failed attempt; the link goes on by itself until it is closed, unless it was barred. */
  failed(link: Link, failure: Failure): void
  /** `link.phase` is another one. */
  changed(link: Link): void
  /** The job is cut off for now. */
  interrupted(link: Link, job: CarriedJob): void
  /** It is no longer, and stands as it stood. */
  restored(link: Link, job: CarriedJob): void
  /** The server answered for a job; to be handed on to it. */
  replayed(link: Link, job: CarriedJob, replay: Replay): void
}

/** A transport at work: carries jobs, and mends itself by reconnecting with their cursors. */
export interface Link {
  readonly transport: TransportName
  /** `unavailable`: open, but the server cannot reach its store. */
  readonly phase: 'connecting' | 'open' | 'unavailable' | 'waiting'
  /** How many jobs it can carry beside each other. */
  readonly capacity: number
  /** What carries the list, made with the first; only a WebSocket carries any. */
  carrierOf?(list: CarriedList): ListCarrier
  /** Carries the job from its cursor on; one that it carries already, afresh. */
  carry(job: CarriedJob): void
  carries(job: CarriedJob): boolean
  drop(job: CarriedJob): void
  /** The job has a new credential before the old one stopped working. */
  credentialChanged(job: CarriedJob): void
  /**
   * The network, or the page, is back from something that connections may not have survived without a sign: do not wait
   * for the next attempt, unless the server asked for that, and find out whether what seems open still is.
   */
  revive(): void
  close(): void
}

export interface LinkOptions {
  readonly owner: LinkOwner
  readonly random: () => number
  /** A link begins with so many failures in a row, and after a pause, in ms. */
  readonly n: number
  readonly delayMs: number
}

/** Ends the pause before something is asked for again. */
export function rouse({ phase }: { readonly phase: string | { readonly resting: Timer } }): void {
  if (typeof phase === 'object') clearTimeout(phase.resting)
}
