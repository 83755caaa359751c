import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { createParser } from 'eventsource-parser'
import { WebSocket } from 'ws'
import { parseCursor } from '../../../shared/cursor.ts'
import { JobEvent } from '../../../shared/event.ts'
import { fold } from '../../../shared/fold.ts'
import { Job } from '../../../shared/job.ts'
import { ServerFrame, SnapshotReason } from '../../../shared/protocol.ts'
import type { Sighting } from './sightings.ts'

export type SubscriberTransport = 'socket' | 'stream'

/** Between two tries to connect. */
const RECONNECT_MS = 150

/**
 * Watches one job to its end, as the protocol tells a client to: whenever its connection is lost, it connects again,
 * to the next address, with its cursor. It remembers everything that it was told.
 */
export class Subscriber {
  readonly jobId: string
  readonly sightings: Sighting[] = []
  /** The first frame that it could not understand, or that broke off the connection for good. */
  failure: Error | null = null
  /** Folded from what it was told. */
  job: Job | null = null
  #cursor: string | null = null
  #state: 'watching' | 'over' = 'watching'
  #connections = 0
  #disconnect: () => void = () => {}
  #timer: NodeJS.Timeout | undefined
  readonly #transport: SubscriberTransport
  readonly #addresses: () => readonly string[]

  constructor(jobId: string, transport: SubscriberTransport, addresses: () => readonly string[]) {
    this.jobId = jobId
    this.#transport = transport
    this.#addresses = addresses
    this.#connect()
  }

  get isOver(): boolean {
    return this.#state === 'over'
  }

  /** Of the last thing it was told. */
  get epoch(): string | null {
    return this.#cursor === null ? null : parseCursor(this.#cursor).epoch
  }

  get reasons(): SnapshotReason[] {
    return this.sightings.flatMap((one) => (one.saw === 'snapshot' ? [one.reason] : []))
  }

  stop(): void {
    this.#state = 'over'
    clearTimeout(this.#timer)
    this.#disconnect()
  }

  #connect(): void {
    const addresses = this.#addresses()
    const address = addresses[this.#connections % addresses.length]
    this.#connections += 1
    if (address === undefined) this.#reconnect()
    else if (this.#transport === 'socket') this.#disconnect = this.#openSocket(address)
    else this.#disconnect = this.#openStream(address)
  }

  #reconnect(): void {
    if (this.#state === 'over') return
    this.#disconnect()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#connect(), RECONNECT_MS)
  }

  #openSocket(address: string): () => void {
    const after = this.#cursor === null ? '' : `&after=${encodeURIComponent(this.#cursor)}`
    const socket = new WebSocket(`${address.replace('http', 'ws')}/ws?job=${this.jobId}${after}`)
    let isCurrent = true
    const lost = () => {
      if (!isCurrent) return
      isCurrent = false
      this.#reconnect()
    }
    socket.on('message', (data) => {
      if (!isCurrent) return
      this.#guarded(() => {
        if (this.#take(ServerFrame.parse(JSON.parse(String(data)))) === 'reconnect') lost()
      })
    })
    socket.on('error', lost)
    socket.on('close', (code) => {
      if (isCurrent && code >= 4500 && code < 5000) this.#fail(new Error(`closed for good with ${code}`))
      lost()
    })
    return () => {
      isCurrent = false
      socket.terminate()
    }
  }

  #openStream(address: string): () => void {
    let isCurrent = true
    const lost = () => {
      if (!isCurrent) return
      isCurrent = false
      this.#reconnect()
    }
    const headers = this.#cursor === null ? {} : { 'Last-Event-ID': this.#cursor }
    const request: ClientRequest = get(
      `${address}/api/jobs/${this.jobId}/events`,
      { agent: false, headers: { Accept: 'text/event-stream', ...headers } },
      (answer) => {
        if (!isCurrent) return
        if (answer.statusCode === 204) this.#see({ saw: 'end' })
        else if (answer.statusCode === 404) this.#see({ saw: 'gone' })
        else if (answer.statusCode !== 200) answer.resume().on('end', lost)
        else this.#readStream(answer, () => isCurrent, lost)
      },
    )
    request.on('error', lost)
    return () => {
      isCurrent = false
      request.destroy()
    }
  }

  #readStream(answer: IncomingMessage, isCurrent: () => boolean, lost: () => void): void {
    const parser = createParser({
      onEvent: ({ event = '', data, id }) => {
        if (isCurrent()) this.#guarded(() => this.#takeStreamed(event, JSON.parse(data), id))
      },
    })
    answer.setEncoding('utf8').on('data', (text: string) => parser.feed(text))
    answer.on('error', lost).on('close', lost)
  }

  #takeStreamed(name: string, data: { reason?: unknown; job?: unknown }, id: string | undefined): void {
    if (name === 'ping') return
    if (name === 'place') {
      this.#place()
      return
    }
    if (name === 'end') {
      this.#see({ saw: 'end' })
      return
    }
    if (id === undefined) throw new Error(`the streamed event ${name} has no id`)
    if (name === 'snapshot') this.#snapshot(SnapshotReason.parse(data.reason), Job.parse(data.job), id)
    else this.#event(JobEvent.parse(data), null)
    if (this.#cursor !== id) throw new Error(`the id ${id} came where the cursor is ${this.#cursor}`)
  }

  #take(frame: ServerFrame): 'reconnect' | undefined {
    if (frame.op === 'subscribed') {
      if (frame.mode === 'snapshot') this.#snapshot(frame.reason, frame.job, frame.cursor)
      else for (const event of frame.events) this.#event(event, null)
      this.#cursor = frame.cursor
    } else if (frame.op === 'event') {
      const { op: _op, prev, jobId: _jobId, ...event } = frame
      this.#event(event, prev)
    } else if (frame.op === 'place') {
      this.#place()
    } else if (frame.op === 'end') {
      this.#see({ saw: 'end' })
    } else if (frame.op === 'unsubscribed') {
      if (frame.code === 'not_found') this.#see({ saw: 'gone' })
      else throw new Error(`unsubscribed: ${frame.code}`)
    } else if (frame.op === 'error') {
      if (frame.retry) return 'reconnect'
      if (frame.code !== 'not_found') throw new Error(`error ${frame.code}: ${frame.message}`)
      this.#see({ saw: 'gone' })
    }
    return undefined
  }

  #snapshot(reason: SnapshotReason, job: Job, cursor: string): void {
    this.job = job
    this.#cursor = cursor
    this.#see({ saw: 'snapshot', reason, epoch: parseCursor(cursor).epoch, job })
  }

  #event(event: JobEvent, prev: number | null): void {
    if (this.job !== null) this.job = fold(this.job, event)
    if (this.#cursor !== null)
      this.#cursor = `${this.#cursor.slice(0, this.#cursor.lastIndexOf('.') + 1)}${event.seq}`
    this.#see({ saw: 'event', event, prev })
  }

  /** It may be told late, missed or twice, but only while the job is known as queued. */
  #place(): void {
    if (this.job?.status !== 'queued') throw new Error(`a place came where the job is ${this.job?.status}`)
  }

  #see(sighting: Sighting): void {
    this.sightings.push(sighting)
    if (sighting.saw === 'end' || sighting.saw === 'gone') this.stop()
  }

  #guarded(read: () => void): void {
    try {
      read()
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #fail(error: Error): void {
    this.failure ??= error
    this.stop()
  }
}
