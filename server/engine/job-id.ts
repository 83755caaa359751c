import { randomFillSync } from 'node:crypto'

/** 74 random bits need 19 hexadecimal digits: that of the variant holds two of them. */
const DIGITS_AN_ID = 20
const VARIANTS = '89ab'

const random = Buffer.alloc((DIGITS_AN_ID / 2) * 512)
let digits = ''
let used = 0
/** The start of every id of one millisecond. */
let time = ''
let timeOf = Number.NaN

/**
 * A UUIDv7 (RFC 9562 section 5.7): 48 bits of time and 74 random ones. The random ones are drawn and written out for
 * many ids at once, because a system call and a conversion per id are slow.
 */
export function newJobId(now: number = Date.now()): string {
  if (used === digits.length) {
    digits = randomFillSync(random).toString('hex')
    used = 0
  }
  if (now !== timeOf) {
    const hex = now.toString(16).padStart(12, '0')
    time = `${hex.slice(0, 8)}-${hex.slice(8)}-7`
    timeOf = now
  }
  const at = used
  used += DIGITS_AN_ID
  const variant = VARIANTS[(random[at / 2 + 1] ?? 0) & 3]
  return `${time}${digits.slice(at, at + 3)}-${variant}${digits.slice(at + 4, at + 7)}-${digits.slice(at + 7, at + 19)}`
}

const JOB_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** Whether a text has the shape of a job id; anything else never reaches a store. */
export function isJobId(text: string): boolean {
  return JOB_ID.test(text)
}
