import {
  FRAME_ERRORS,
  type FrameErrorCode,
  UNSUBSCRIBED_CODES,
  type UnsubscribedCode,
} from '../../../../shared/codes.ts'
import type { SnapshotReason } from '../../../../shared/protocol.ts'
import type { ListFollower } from '../../lists/list-follower.ts'
import { encodeFrame } from './frames.ts'

export function listFrame(list: string, reason: SnapshotReason, follower: ListFollower): Buffer {
  const { jobs, missing } = follower.show()
  return encodeFrame({ op: 'list', list, reason, jobs, ...(missing !== null && { missing: [...missing] }) })
}

export function unwatchedFrame(list: string, code: UnsubscribedCode): Buffer {
  return encodeFrame({ op: 'unwatched', list, code, retry: UNSUBSCRIBED_CODES[code] })
}

export function listErrorFrame(list: string, code: FrameErrorCode, message: string): Buffer {
  return encodeFrame({ op: 'error', list, code, message, retry: FRAME_ERRORS[code] })
}
