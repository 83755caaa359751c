import { ClientFrame } from '../../../../shared/protocol.ts'
import { findingsOf } from '../../../../shared/words.ts'

/** Frames that a connection may send at once. */
const BURST = 512
const PER_SECOND = 100
/** Bad frames on a connection; the tenth ends it. */
const MAX_STRIKES = 10
const FORGIVEN_EVERY_MS = 6000

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
  const [finding] = parsed.error.issues.flatMap((issue) => findingsOf(issue))
  const where = finding?.path.join('.') ?? ''
  return { ok: false, why: where === '' ? `${finding?.message}` : `${where}: ${finding?.message}` }
}

/**
 * What one connection may still send: a bucket of 512 frames, refilled at 100 a second, and a count of bad frames
 * that falls by one every 6 s. Times are of a monotonic clock, in ms.
 */
export class FrameBudget {
  #frames = BURST
  #refilledAt: number
  #strikes = 0
  #forgivenAt: number

  constructor(now: number) {
    this.#refilledAt = now
    this.#forgivenAt = now
  }

  /** False where the bucket is empty. */
  take(now: number): boolean {
    this.#frames = Math.min(BURST, this.#frames + ((now - this.#refilledAt) / 1000) * PER_SECOND)
    this.#refilledAt = now
    if (this.#frames < 1) return false
    this.#frames--
    return true
  }

  /** Counts a bad frame; true where it was the last one allowed. */
  strike(now: number): boolean {
    const forgiven = Math.floor((now - this.#forgivenAt) / FORGIVEN_EVERY_MS)
    this.#forgivenAt += forgiven * FORGIVEN_EVERY_MS
    this.#strikes = Math.max(0, this.#strikes - forgiven)
    if (this.#strikes === 0) this.#forgivenAt = now
    this.#strikes++
    return this.#strikes >= MAX_STRIKES
  }
}
