import { describe, expect, test } from 'vitest'
import { placeText, startText } from '../../client/dashboard/common/words.ts'
import type { Held } from '../../shared/job.ts'

const NOW = Date.parse('2026-11-23T15:49:00.000Z')
const SECOND = 1000
const MINUTE = 60 * SECOND

const place = (at: number | null) => placeText({ place: at, startsAt: null, held: null })
const start = (leftMs: number) =>
  startText({ place: 1, startsAt: new Date(NOW + leftMs).toISOString(), held: null }, NOW)

describe('the place in line, in words', () => {
  test.each([
    [1, 'Next in line'],
    [2, '2nd in line'],
    [3, '3rd in line'],
    [11, '11th in line'],
    [22, '22nd in line'],
    [101, '101st in line'],
    [null, '10,000+ ahead in line'],
  ])('%s: %s', (at, words) => {
    expect(place(at)).toBe(words)
  })
})

describe('the start, in words', () => {
  test.each([
    [-5 * MINUTE, 'any moment now'],
    [0, 'any moment now'],
    [1400, 'any moment now'],
    [1500, 'starts in about 2 s'],
    [9900, 'starts in about 10 s'],
    [18 * SECOND, 'starts in about 20 s'],
    [57 * SECOND, 'starts in about 55 s'],
    [58 * SECOND, 'starts in about 1 min'],
    [200 * SECOND, 'starts in about 3 min'],
    [59.6 * MINUTE, 'starts in about 1 h'],
    [23.4 * 60 * MINUTE, 'starts in about 23 h'],
    [50 * 60 * MINUTE, 'starts in about 2 d'],
  ])('%d ms: %s', (leftMs, words) => {
    expect(start(leftMs)).toBe(words)
  })

  test('nothing where nobody knows', () => {
    expect(startText({ place: 1, startsAt: null, held: null }, NOW)).toBeNull()
  })

  test('what holds it where something does', () => {
    const words = (held: Held) => startText({ place: 1, startsAt: null, held }, NOW)
    expect(words('paused')).toBe('its type is paused')
    expect(words('no_worker')).toBe('no worker runs its type')
    // Of a newer server.
    expect(words('rate' as Held)).toBe('it is held')
  })
})
