/** Sizes and counts that the protocol promises. Imports nothing. */

/** What is retained for replay, per job. */
export const RETAINED_EVENTS = 1000
/** Bytes (UTF-8 JSON of `data`) of retained `log` and `chunk` events, per job. */
export const RETAINED_BYTES = 4 * 1024 * 1024
/** Largest `chunk`, in bytes of JSON. */
export const MAX_CHUNK_BYTES = 256 * 1024
/** Largest log line or progress note, in bytes of UTF-8; longer ones are cut. */
export const MAX_LINE_BYTES = 8 * 1024

/** The last place in line that is counted out; who stands further back is told so, and no number. */
export const MAX_PLACE = 10_000

/** Deepest nesting of a payload or result: `[[…]]` is 2 deep. */
export const MAX_DEPTH = 64
/** Jobs in one batch submission. */
export const MAX_BATCH = 1000
/** Longest time that a long-poll or `Prefer: wait` may ask for, in seconds. */
export const MAX_WAIT_S = 60
/**
 * Longest time that one is held, in seconds. Many a proxy gives up an answer of which nothing has come for 30 s, others
 * for 50 s or 60 s: the caller would get an error of theirs, and of a submission never learn the id.
 */
export const MAX_HOLD_S = 25
/** How long an `Idempotency-Key` is remembered, in ms. */
export const IDEMPOTENCY_TTL_MS = 24 * 60 * 60 * 1000
/** Between WebSocket heartbeats, in ms; a peer silent for 1.5 times as long is gone. */
export const HEARTBEAT_MS = 20_000
/** Between SSE pings, in ms. */
export const SSE_PING_MS = 15_000
/** The longest that an event stream goes on before its reader has to come back for the rest, in ms. */
export const STREAM_LIFE_MS = 60_000
/** A `retry:` of less than so many ms comes with an end that all is well with: the client comes back and has lost nothing. */
export const PLANNED_RETRY_MS = 500
/** Subscriptions a WebSocket connection may hold. */
export const MAX_SUBSCRIPTIONS = 256
/** Types, any of which a list has, and tags, all of which its jobs have. */
export const MAX_LIST_TYPES = 50
export const MAX_LIST_TAGS = 10
/** Jobs of a list that a connection watches. */
export const MAX_LIST = 200
export const DEFAULT_LIST = 50
/** Jobs of all lists of a connection together: of each the most that it may have. */
export const MAX_LISTED = 2000
/** Largest WebSocket frame that the server reads, in bytes. */
export const MAX_FRAME_BYTES = 16 * 1024
