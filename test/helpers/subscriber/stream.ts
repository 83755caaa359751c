import { get, type IncomingMessage } from 'node:http'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { z } from 'zod'
import { JobEvent } from '../../../shared/event.ts'
import { Job, JobStatus } from '../../../shared/job.ts'
import { SnapshotReason, Trimmed } from '../../../shared/protocol.ts'
import { refusalOf } from './refusal.ts'
import { guarded, type OpenWire, queryOf, type Told } from './wire.ts'

/** `/api/jobs/:id/events`, with the cursor in `Last-Event-ID` where a header can hold it (section 7 of the protocol). */
export const openStream: OpenWire = (request, hear) => {
  let isOpen = true
  const tell = (told: Told) => {
    if (!isOpen) return
    if (told.told === 'closed') isOpen = false
    hear(told)
  }
  const lost = () => tell({ told: 'closed', code: null })
  const { after } = request
  const fitsHeader = typeof after === 'string' && !/[^\t\x20-\x7e]/.test(after)
  const query = queryOf(fitsHeader ? { ...request, after: null } : request)
  const outgoing = get(
    `${request.address}/api/jobs/${encodeURIComponent(request.jobId)}/events?${query}`,
    {
      agent: false,
      headers: {
        Accept: 'text/event-stream',
        ...(fitsHeader && { 'Last-Event-ID': after }),
        ...(request.credential !== undefined && { Authorization: `Bearer ${request.credential}` }),
      },
    },
    (answer) => {
      if (answer.statusCode !== 200 && answer.statusCode !== 204) {
        void refusalOf(answer).then(tell)
        return
      }
      if (answer.statusCode === 204) tell({ told: 'end', cursor: null, status: null })
      else read(answer, after || null, tell)
      answer.on('error', lost).on('close', lost)
    },
  )
  outgoing.on('error', lost)
  return {
    close() {
      isOpen = false
      outgoing.destroy()
    },
  }
}

function read(answer: IncomingMessage, after: string | null, tell: (told: Told) => void): void {
  let isFirst = true
  const parser = createParser({
    onEvent: (message) =>
      guarded(tell, () => {
        const told = toldBy(message)
        if (told !== null) tell(told)
        // There is no word for a stream that goes on where the cursor was and has nothing to tell yet.
        else if (isFirst && after !== null) tell({ told: 'resume', events: [], cursor: after })
        isFirst = false
      }),
    onRetry: (ms) => tell({ told: 'drain', comeBackMs: [ms, ms] }),
  })
  answer.setEncoding('utf8').on('data', (text: string) => parser.feed(text))
}

const Snapshot = z.strictObject({
  reason: SnapshotReason,
  job: Job,
  trimmed: Trimmed.optional(),
  events: z.array(JobEvent).optional(),
})
const End = z.strictObject({ cursor: z.string(), status: JobStatus })

function toldBy({ event: name, data, id }: EventSourceMessage): Told | null {
  // Why it ends: the answer to whoever comes back says so too.
  if (name === 'ping' || name === 'unsubscribed') return null
  if (id === undefined) throw new Error(`the streamed event ${name} has no id`)
  const value: unknown = JSON.parse(data)
  if (name === 'snapshot') {
    const { events = [], ...snapshot } = Snapshot.parse(value)
    return { told: 'snapshot', ...snapshot, cursor: id, events }
  }
  if (name === 'end') return { told: 'end', ...End.parse(value) }
  const event = JobEvent.parse(value)
  if (event.kind !== name) throw new Error(`a ${event.kind} event came as ${name}`)
  return { told: 'event', event, prev: null, cursor: id }
}
