import { parseCursor } from '../../shared/cursor.ts'
import type { JobEvent } from '../../shared/event.ts'
import type { QueuePlace } from '../../shared/job.ts'
import { PLANNED_RETRY_MS, SSE_PING_MS } from '../../shared/limits.ts'
import type { Replay } from '../../shared/protocol.ts'
import { JobcastError } from '../errors.ts'
import { jobPath } from '../http.ts'
import { onAbort, startTimeout } from '../time.ts'
import { eventReader, type StreamedEvent } from './event-stream.ts'
import type { RoundContext, RoundEnd } from './stream.ts'

/** How long the first event may take, from the beginning of the request. */
const FIRST_MS = 3000
/** How long another one may take after it: the server sends a ping within two seconds. */
const SECOND_MS = 5000
/** What comes sooner than this may have come along with the first. */
const LATER_MS = 500
const SILENCE_MS = 1.5 * SSE_PING_MS

/** One stream of server-sent events; fetched, so that the credential goes in a header and not in the address. */
export async function sse({
  http,
  job,
  signal,
  worked,
  heard,
  replayed,
  available,
}: RoundContext): Promise<RoundEnd> {
  const { jobId, cursor, credential, history } = job
  const stop = new AbortController()
  const unlink = onAbort(signal, () => stop.abort())
  const silent = (slept: boolean) =>
    stop.abort(new JobcastError(slept ? 'network' : 'timeout', 'the stream is silent'))
  const held = (slept: boolean) => {
    if (!slept) {
      const message = 'what follows the first event of a stream is held back on the way'
      outcome ??= { kind: 'unfit', message }
    }
    stop.abort()
  }
  let timer = startTimeout(FIRST_MS, silent)
  let firstAt: number | null = null
  let floorMs = 0
  let outcome: RoundEnd | null = null

  const hear = (streamed: StreamedEvent): void => {
    const now = performance.now()
    const isFirst = firstAt === null
    firstAt ??= now
    // A time to come back that is followed by something is for breaks to come, and does not tell of one.
    floorMs = 0
    heard()
    if (isFirst || now - firstAt >= LATER_MS) {
      clearTimeout(timer)
      timer = isFirst ? startTimeout(SECOND_MS, held) : startTimeout(SILENCE_MS, silent)
    }
    if (isFirst) {
      worked()
      // There is no word for a stream that goes on where the cursor was.
      if (streamed.event !== 'snapshot' && cursor !== null) replayed({ mode: 'resume', cursor, events: [] })
    }
    outcome ??= apply(streamed)
  }

  const onRetry = (ms: number): void => {
    floorMs = ms
  }

  const apply = ({ event, id, data }: StreamedEvent): RoundEnd | null => {
    switch (event) {
      case 'snapshot': {
        const snapshot = JSON.parse(data) as SnapshotData
        replayed({ mode: 'snapshot', cursor: id ?? snapshot.job.cursor, ...snapshot })
        return null
      }
      case 'end': {
        const { cursor: last } = JSON.parse(data) as { cursor: string }
        return job.ended(last) ? { kind: 'done' } : broken(0)
      }
      case 'unsubscribed':
        // The answer to the next request says what is to be done, as where it was refused from the start.
        return { kind: 'next', afterMs: 0 }
      case 'place':
        job.placed(JSON.parse(data) as QueuePlace)
        return null
      case 'status':
      case 'progress':
      case 'log':
      case 'chunk': {
        const foreign = id !== undefined && parseCursor(id).epoch !== parseCursor(job.cursor ?? '').epoch
        if (foreign || !job.event(JSON.parse(data) as JobEvent, null)) return broken(0)
        return null
      }
      case 'ping':
        available((JSON.parse(data) as { unavailable?: boolean }).unavailable !== true)
        return null
      default:
        return null
    }
  }

  try {
    const query = new URLSearchParams({
      ...(cursor === null ? {} : { after: cursor }),
      ...(history ? { history: '1' } : {}),
      place: '0',
    })
    const response = await http.send(jobPath(jobId, `/events?${query}`), {
      headers: { accept: 'text/event-stream' },
      credential,
      signal: stop.signal,
    })
    // Nothing comes after a terminal cursor.
    if (response.status === 204) {
      worked()
      return cursor !== null && job.ended(cursor) ? { kind: 'done' } : broken(0)
    }
    const type = response.headers.get('content-type') ?? ''
    if (response.body === null || !type.startsWith('text/event-stream')) return broken(0)
    const read = eventReader(hear, onRetry)
    const decoder = new TextDecoder()
    const reader = response.body.getReader()
    while (outcome === null) {
      const { done, value } = await reader.read()
      if (done && floorMs > 0 && floorMs < PLANNED_RETRY_MS) return { kind: 'next', afterMs: floorMs }
      if (done) return { ...broken(floorMs), counts: floorMs === 0 }
      read(decoder.decode(value, { stream: true }))
    }
    return outcome
  } catch (error) {
    if (error instanceof JobcastError && firstAt === null) throw error
    if (outcome !== null) return outcome
    return { ...broken(floorMs), counts: floorMs === 0 }
  } finally {
    clearTimeout(timer)
    unlink()
    stop.abort()
  }
}

type SnapshotData = Omit<Extract<Replay, { mode: 'snapshot' }>, 'mode' | 'cursor'>

function broken(floorMs: number) {
  return { kind: 'broken', counts: true, silent: false, floorMs } as const
}
