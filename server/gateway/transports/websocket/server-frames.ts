import {
  FRAME_ERRORS,
  type FrameErrorCode,
  UNSUBSCRIBED_CODES,
  type UnsubscribedCode,
} from '../../../../shared/codes.ts'
import { formatCursor } from '../../../../shared/cursor.ts'
import type { ServerFrame, SnapshotReason } from '../../../../shared/protocol.ts'
import type { ReadResult } from '../../../engine/engine.ts'
import type { EncodedEvent } from '../../encoded-event.ts'
import type { ListChanges, ListContent } from '../../lists/list-follower.ts'
import { type Standing, toQueuePlace } from '../../queue-places.ts'

/** Final, text: RFC 6455 section 5.2. */
const FINAL_TEXT = 0x81
/** Lengths of two or eight bytes of their own. */
const LENGTH_16 = 126
const LENGTH_64 = 127

let latestReplay: { readonly result: ReadResult; readonly frame: Buffer } | null = null
let latestPlace: { readonly standing: Standing; readonly frame: Buffer } | null = null
let latestChanges: {
  readonly changes: ListChanges
  readonly json: string
  /** The frame of each name that clients have for the list. */
  readonly frames: Map<string, Buffer>
} | null = null

/** `prev` is the seq of the event that this client had before. */
export function eventFrame(jobId: string, seq: number, { json, chunks }: EncodedEvent, prev: number): Buffer {
  // Nothing was merged away before it, which is nearly always so: then all clients get the same.
  if (prev === seq - 1) {
    chunks.socket ??= buildEventFrame(jobId, json, prev)
    return chunks.socket
  }
  return buildEventFrame(jobId, json, prev)
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

export function listFrame(list: string, reason: SnapshotReason, { jobs, missing }: ListContent): Buffer {
  return encodeFrame({ op: 'list', list, reason, jobs, ...(missing !== null && { missing: [...missing] }) })
}

/** All who watch a list are told of one change before the next: it is made into text once, and into a frame once a name. */
export function changesFrame(list: string, changes: ListChanges): Buffer {
  if (latestChanges?.changes !== changes) {
    const json = `"jobs":${JSON.stringify(changes.jobs)},"gone":${JSON.stringify(changes.gone)}}`
    latestChanges = { changes, json, frames: new Map() }
  }
  const { json, frames } = latestChanges
  const known = frames.get(list)
  if (known !== undefined) return known
  const frame = textFrame(`{"op":"changes","list":${JSON.stringify(list)},${json}`)
  frames.set(list, frame)
  return frame
}

export function unwatchedFrame(list: string, code: UnsubscribedCode): Buffer {
  return encodeFrame({ op: 'unwatched', list, code, retry: UNSUBSCRIBED_CODES[code] })
}

export function listErrorFrame(list: string, code: FrameErrorCode, message: string): Buffer {
  return encodeFrame({ op: 'error', list, code, message, retry: FRAME_ERRORS[code] })
}

export function encodeFrame(frame: ServerFrame): Buffer {
  return textFrame(JSON.stringify(frame))
}

/** A WebSocket text frame, head and all: made once, it goes to any number of sockets as it is. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const head = length < LENGTH_16 ? 2 : length < 0x10000 ? 4 : 10
  const frame = Buffer.allocUnsafe(head + length)
  frame[0] = FINAL_TEXT
  if (head === 2) {
    frame[1] = length
  } else if (head === 4) {
    frame[1] = LENGTH_16
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = LENGTH_64
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  frame.write(text, head)
  return frame
}
