import { randomFillSync } from 'node:crypto'

/** Of the 74 bits beside the time 12 count within a millisecond; the others are random: a variant and 15 hexadecimal digits. */
const DIGITS_AN_ID = 16
const VARIANTS = '89ab'
/** Counts begin in the lower half, at random, so that there is room for more; past the last the time itself goes on. */
const FIRST_COUNTS = 0x800
const LAST_COUNT = 0xfff
/** A clock that was set back by more than this is believed, though ids then go back as well. */
const MOST_AHEAD_MS = 10_000

const random = Buffer.alloc((DIGITS_AN_ID / 2) * 512)
let digits = ''
let used = 0
/** Of the last id: the start of every id of its millisecond, that millisecond, and its place in it. */
let time = ''
let timeOf = Number.NEGATIVE_INFINITY
let count = 0

/**
 * A UUIDv7 (RFC 9562 section 5.7): 48 bits of time, 12 that count (section 6.2, method 1) and 62 random ones. Ids of one
 * process ascend in the order in which they are made. The random bits are drawn and written out for many ids at once,
 * because a system call and a conversion per id are slow.
 */
export function newJobId(now: number = Date.now()): string {
  if (used === digits.length) {
    digits = randomFillSync(random).toString('hex')
    used = 0
  }
  const at = used
  used += DIGITS_AN_ID
  if (now > timeOf || now < timeOf - MOST_AHEAD_MS) startMillisecond(now, at)
  else if (count === LAST_COUNT) startMillisecond(timeOf + 1, at)
  else count += 1
  const variant = VARIANTS[(random[at / 2] ?? 0) & 3]
  const counted = count.toString(16).padStart(3, '0')
  return `${time}${counted}-${variant}${digits.slice(at + 1, at + 4)}-${digits.slice(at + 4, at + 16)}`
}

function startMillisecond(ms: number, at: number): void {
  const hex = ms.toString(16).padStart(12, '0')
  time = `${hex.slice(0, 8)}-${hex.slice(8)}-7`
  timeOf = ms
  count = random.readUInt16LE(at / 2 + 6) % FIRST_COUNTS
}

const JOB_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** Whether a text has the shape of a job id; anything else never reaches a store. */
export function isJobId(text: string): boolean {
  return JOB_ID.test(text)
}

/** 96 bits. */
const BYTES_A_TOKEN = 12
const CHARACTERS_A_TOKEN = 16

const tokenBytes = Buffer.alloc(BYTES_A_TOKEN * 256)
let characters = ''
let charactersUsed = 0

/** What tells one claim from all others: 96 random bits as base64url. Drawn for many at once: each draw is slow. */
export function newToken(): string {
  if (charactersUsed === characters.length) {
    characters = randomFillSync(tokenBytes).toString('base64url')
    charactersUsed = 0
  }
  charactersUsed += CHARACTERS_A_TOKEN
  return characters.slice(charactersUsed - CHARACTERS_A_TOKEN, charactersUsed)
}
