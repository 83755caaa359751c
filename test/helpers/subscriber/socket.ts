import { WebSocket } from 'ws'
import { ServerFrame } from '../../../shared/protocol.ts'
import { guarded, type OpenWire, queryOf, type Told } from './wire.ts'

/** `/ws?job=…` (section 6 of the protocol). */
export const openSocket: OpenWire = (request, hear) => {
  const query = queryOf(request)
  query.set('job', request.jobId)
  if (request.credential !== undefined) query.set('token', request.credential)
  const socket = new WebSocket(`${request.address.replace(/^http/, 'ws')}/ws?${query}`)
  let isOpen = true
  const tell = (told: Told) => {
    if (isOpen) hear(told)
  }
  socket.on('message', (data) =>
    guarded(tell, () => {
      const told = toldByText(String(data))
      if (told !== null) tell(told)
    }),
  )
  socket.on('error', () => {})
  socket.on('close', (code) => tell({ told: 'closed', code }))
  return {
    close() {
      isOpen = false
      socket.terminate()
    },
  }
}

/** The last frames: a thousand subscribers of one job are told the same, which is held to the schema once. */
const known = new Map<string, Told | null>()
const MAX_KNOWN = 100

function toldByText(text: string): Told | null {
  const before = known.get(text)
  if (before !== undefined) return before
  const told = toldBy(ServerFrame.parse(JSON.parse(text)))
  known.set(text, told)
  const [oldest] = known.keys()
  if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
  return told
}

function toldBy(frame: ServerFrame): Told | null {
  switch (frame.op) {
    case 'subscribed': {
      const { cursor } = frame
      if (frame.mode === 'resume') return { told: 'resume', events: frame.events, cursor }
      return {
        told: 'snapshot',
        reason: frame.reason,
        job: frame.job,
        trimmed: frame.trimmed,
        cursor,
        events: frame.events ?? [],
      }
    }
    case 'event': {
      const { op: _op, prev, jobId: _jobId, ...event } = frame
      return { told: 'event', event, prev, cursor: null }
    }
    case 'place':
      return { told: 'place' }
    case 'end':
      return { told: 'end', cursor: frame.cursor, status: frame.status }
    case 'unsubscribed':
    case 'error':
      return { told: 'refused', code: frame.code, retry: frame.retry }
    case 'drain':
      return { told: 'drain', comeBackMs: frame.reconnectMs }
    default:
      return null
  }
}
