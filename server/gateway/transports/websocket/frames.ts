import {
  FRAME_ERRORS,
  type FrameErrorCode,
  UNSUBSCRIBED_CODES,
  type UnsubscribedCode,
} from '../../../../shared/codes.ts'
import { formatCursor } from '../../../../shared/cursor.ts'
import type { JobEvent } from '../../../../shared/event.ts'
import { ClientFrame, type ServerFrame } from '../../../../shared/protocol.ts'
import type { ReadResult } from '../../../engine/engine.ts'
import { TextEvent } from '../../../engine/job/events.ts'
import { type Standing, toQueuePlace } from '../../standing.ts'
import { textFrame } from './text-frame.ts'

/** An event as text, made once for all its subscribers. */
export interface EventText {
  readonly json: string
  /** UTF-8 bytes of `json`. */
  readonly bytes: number
  /** The WebSocket frame where nothing was merged away before it, which is nearly always. */
  frame: Buffer | null
  /** What an event stream has of it. */
  sent: Buffer | null
}

/** Of an event that was read, which sessions that shared the read may ask for at any time. */
const storedTexts = new WeakMap<JobEvent, EventText>()
/**
 * Of the event that came last: all who watch its job are given it at once, before the next one. A weak map of them all
 * would be work for the collector with each of its rounds.
 */
let latest: { readonly event: JobEvent; readonly text: EventText } | null = null
let latestReplay: { readonly result: ReadResult; readonly frame: Buffer } | null = null
let latestPlace: { readonly standing: Standing; readonly frame: Buffer } | null = null

export function liveText(event: JobEvent): EventText {
  if (latest?.event !== event) latest = { event, text: makeText(event) }
  return latest.text
}

export function storedText(event: JobEvent): EventText {
  const known = storedTexts.get(event)
  if (known !== undefined) return known
  const text = makeText(event)
  storedTexts.set(event, text)
  return text
}

function makeText(event: JobEvent): EventText {
  const json = event instanceof TextEvent ? event.toText() : JSON.stringify(event)
  return { json, bytes: Buffer.byteLength(json), frame: null, sent: null }
}

export function eventFrame(jobId: string, seq: number, text: EventText, prev: number): Buffer {
  if (prev !== seq - 1) return buildEventFrame(jobId, text.json, prev)
  text.frame ??= buildEventFrame(jobId, text.json, prev)
  return text.frame
}

/** The id of a job that there is: nothing in it would have to be escaped. */
function buildEventFrame(jobId: string, json: string, prev: number): Buffer {
  return textFrame(`{"op":"event","jobId":"${jobId}","prev":${prev},${json.slice(1)}`)
}

/** Subscribers that share a read share its frame too; they are all given it before the next one. */
export function subscribedFrame(jobId: string, result: ReadResult, history: boolean): Buffer {
  if (latestReplay?.result === result) return latestReplay.frame
  const cursor = formatCursor(result.epoch, result.seq)
  const frame = encodeFrame(
    result.mode === 'resume'
      ? { op: 'subscribed', jobId, mode: 'resume', cursor, events: result.events }
      : {
          op: 'subscribed',
          jobId,
          mode: 'snapshot',
          reason: result.reason,
          cursor,
          job: result.job,
          ...(result.trimmed > 0 && { trimmed: result.trimmed }),
          ...(history && { events: result.events }),
        },
  )
  latestReplay = { result, frame }
  return frame
}

/** All who watch a job are told its place before that of the next. */
export function placeFrame(jobId: string, standing: Standing): Buffer {
  if (latestPlace?.standing !== standing) {
    latestPlace = { standing, frame: encodeFrame({ op: 'place', jobId, ...toQueuePlace(standing) }) }
  }
  return latestPlace.frame
}

export function errorFrame(code: FrameErrorCode, message: string, jobId?: string): Buffer {
  const about = jobId === undefined ? {} : { jobId }
  return encodeFrame({ op: 'error', ...about, code, message, retry: FRAME_ERRORS[code] })
}

export function unsubscribedFrame(jobId: string, code: UnsubscribedCode): Buffer {
  return encodeFrame({ op: 'unsubscribed', jobId, code, retry: UNSUBSCRIBED_CODES[code] })
}

export function encodeFrame(frame: ServerFrame): Buffer {
  return textFrame(JSON.stringify(frame))
}

/** What a client sent, or why it cannot be read, in words for whoever wrote the client. */
export type ParsedFrame =
  | { readonly ok: true; readonly frame: ClientFrame }
  | { readonly ok: false; readonly why: string }

export function parseFrame(text: string): ParsedFrame {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, why: 'not JSON' }
  }
  const parsed = ClientFrame.safeParse(value)
  if (parsed.success) return { ok: true, frame: parsed.data }
  const issue = parsed.error.issues[0]
  const where = issue?.path.join('.') ?? ''
  return { ok: false, why: where === '' ? `${issue?.message}` : `${where}: ${issue?.message}` }
}
