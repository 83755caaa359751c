import type { JobEvent } from '../../shared/event.ts'
import { TextEvent } from '../engine/job/events.ts'
import type { Transport } from '../events.ts'

/** An event on its way out: as text, made once for all its readers, and as what each transport makes of that. */
export interface EncodedEvent {
  readonly json: string
  /** UTF-8 bytes of `json`. */
  readonly bytes: number
  /** What goes out by a transport, where that is the same for all its readers; the first of them makes it. */
  readonly chunks: { [one in Transport]?: Buffer }
}

/** Events that were read: sessions that shared the read may ask for them at any time. */
const stored = new WeakMap<JobEvent, EncodedEvent>()
/**
 * The live event that came last: all who watch its job are given it at once, before the next one. A weak map of them all
 * would be work for the collector with each of its rounds.
 */
let latest: { readonly event: JobEvent; readonly encoded: EncodedEvent } | null = null

export function encodeLive(event: JobEvent): EncodedEvent {
  if (latest?.event !== event) latest = { event, encoded: encode(event) }
  return latest.encoded
}

export function encodeStored(event: JobEvent): EncodedEvent {
  const known = stored.get(event)
  if (known !== undefined) return known
  const encoded = encode(event)
  stored.set(event, encoded)
  return encoded
}

function encode(event: JobEvent): EncodedEvent {
  const json = event instanceof TextEvent ? event.toText() : JSON.stringify(event)
  return { json, bytes: Buffer.byteLength(json), chunks: {} }
}
