import { WebSocket } from 'ws'
import { fold } from '../../shared/fold.ts'
import type { Job } from '../../shared/job.ts'
import { ServerFrame } from '../../shared/protocol.ts'
import { until } from './until.ts'

/** A WebSocket subscriber written from the protocol alone: it checks every frame, and folds what it is told. */
export interface Watcher {
  readonly frames: readonly ServerFrame[]
  /** Seqs of the events applied, in order, over all connections. */
  readonly seqs: readonly number[]
  readonly job: Job | null
  readonly cursor: string | null
  readonly ended: boolean
  /** Of the connection, once it is closed. */
  readonly closed: { code: number } | null
  untilEnded(timeoutMs?: number): Promise<Job>
  /** Connects again, here or elsewhere, with its cursor. */
  reconnect(url: string): Promise<void>
  close(): Promise<void>
}

/** Subscribes on connect (`/ws?job=`) and waits for the `subscribed` frame. Throws on a breach of order. */
export async function watch(
  url: string,
  jobId: string,
  options: { history?: boolean } = {},
): Promise<Watcher> {
  const frames: ServerFrame[] = []
  const seqs: number[] = []
  let job: Job | null = null
  let cursor: string | null = null
  let ended = false
  let closed: { code: number } | null = null
  let breach: Error | null = null
  let socket: WebSocket | null = null

  function apply(frame: ServerFrame): void {
    if (frame.op === 'subscribed') {
      if (frame.mode === 'snapshot') job = frame.job
      else for (const event of frame.events) take(event)
      cursor = frame.cursor
    } else if (frame.op === 'event') {
      const { op: _op, prev, jobId: _jobId, ...event } = frame
      if (cursor === null || prev !== Number(cursor.slice(cursor.lastIndexOf('.') + 1))) {
        throw new Error(`event ${event.seq} came after ${prev}, the watcher was at ${cursor}`)
      }
      take(event)
      cursor = job?.cursor ?? cursor
    } else if (frame.op === 'end') {
      ended = true
    }
  }

  function take(event: Parameters<typeof fold>[1]): void {
    seqs.push(event.seq)
    if (job !== null) job = fold(job, event)
  }

  async function connect(base: string): Promise<void> {
    const query = new URLSearchParams({ job: jobId })
    if (cursor !== null) query.set('after', cursor)
    if (options.history) query.set('history', '1')
    const before = frames.length
    closed = null
    socket = new WebSocket(`${base.replace('http', 'ws')}/ws?${query}`)
    socket.on('message', (data) => {
      try {
        const frame = ServerFrame.parse(JSON.parse(String(data)))
        frames.push(frame)
        apply(frame)
      } catch (error) {
        breach ??= error instanceof Error ? error : new Error(String(error))
      }
    })
    socket.on('error', () => {})
    socket.on('close', (code) => {
      closed = { code }
    })
    await until(
      () => check() && frames.slice(before).some(({ op }) => op === 'subscribed' || op === 'error'),
      {
        what: `an answer to the subscription of ${jobId}`,
      },
    )
  }

  function check(): true {
    if (breach !== null) throw breach
    return true
  }

  await connect(url)
  return {
    frames,
    seqs,
    get job() {
      return job
    },
    get cursor() {
      return cursor
    },
    get ended() {
      return ended
    },
    get closed() {
      return closed
    },
    async untilEnded(timeoutMs = 15_000) {
      await until(() => check() && ended, { timeoutMs, what: `the end of ${jobId}` })
      if (job === null) throw new Error('ended without a job')
      return job
    },
    reconnect: connect,
    async close() {
      socket?.terminate()
      await until(() => closed !== null, { what: 'the socket to close' })
      check()
    },
  }
}
