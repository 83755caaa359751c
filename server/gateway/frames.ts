import {
  FRAME_ERRORS,
  type FrameErrorCode,
  UNSUBSCRIBED_CODES,
  type UnsubscribedCode,
} from '../../shared/codes.ts'
import { formatCursor } from '../../shared/cursor.ts'
import type { JobEvent } from '../../shared/event.ts'
import { ClientFrame, type ServerFrame } from '../../shared/protocol.ts'
import type { ReadResult } from '../engine/engine.ts'

/** An event as text, made once for all its subscribers. */
interface EventText {
  readonly json: string
  /** UTF-8 bytes of `json`. */
  readonly bytes: number
  /** The WebSocket frame where nothing was merged away before it, which is nearly always. */
  frame: Buffer | null
}

const texts = new WeakMap<JobEvent, EventText>()
const subscribedFrames = new WeakMap<ReadResult, Buffer>()

export function eventText(event: JobEvent): EventText {
  const known = texts.get(event)
  if (known !== undefined) return known
  const json = JSON.stringify(event)
  const text = { json, bytes: Buffer.byteLength(json), frame: null }
  texts.set(event, text)
  return text
}

export function eventFrame(jobId: string, event: JobEvent, prev: number): Buffer {
  const text = eventText(event)
  if (prev !== event.seq - 1) return buildEventFrame(jobId, text.json, prev)
  text.frame ??= buildEventFrame(jobId, text.json, prev)
  return text.frame
}

function buildEventFrame(jobId: string, json: string, prev: number): Buffer {
  return Buffer.from(`{"op":"event","jobId":${JSON.stringify(jobId)},"prev":${prev},${json.slice(1)}`)
}

/** Subscribers that share a read share its frame too. */
export function subscribedFrame(jobId: string, result: ReadResult, history: boolean): Buffer {
  const known = subscribedFrames.get(result)
  if (known !== undefined) return known
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
          ...(history && { events: result.events }),
        },
  )
  subscribedFrames.set(result, frame)
  return frame
}

export function errorFrame(code: FrameErrorCode, message: string, jobId?: string): Buffer {
  const about = jobId === undefined ? {} : { jobId }
  return encodeFrame({ op: 'error', ...about, code, message, retry: FRAME_ERRORS[code] })
}

export function unsubscribedFrame(jobId: string, code: UnsubscribedCode): Buffer {
  return encodeFrame({ op: 'unsubscribed', jobId, code, retry: UNSUBSCRIBED_CODES[code] })
}

export function encodeFrame(frame: ServerFrame): Buffer {
  return Buffer.from(JSON.stringify(frame))
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
