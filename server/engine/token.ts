import { randomFillSync } from 'node:crypto'

/** 96 bits. */
const BYTES_A_TOKEN = 12
const CHARACTERS_A_TOKEN = 16

const random = Buffer.alloc(BYTES_A_TOKEN * 256)
let characters = ''
let used = 0

/** What tells one claim from all others: 96 random bits as base64url. Drawn for many at once: each draw is slow. */
export function newToken(): string {
  if (used === characters.length) {
    characters = randomFillSync(random).toString('base64url')
    used = 0
  }
  used += CHARACTERS_A_TOKEN
  return characters.slice(used - CHARACTERS_A_TOKEN, used)
}
