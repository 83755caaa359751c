import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { advanceCursor, formatCursor, parseCursor } from '../../shared/cursor.ts'

/** Of no store: what cannot be read is treated as a cursor of another history. */
const UNREADABLE = { epoch: '', seq: 0 }

const epochs = fc.stringMatching(/^\S{1,64}$/)
const seqs = fc.integer({ min: 0, max: 999_999_999_999_999 })

describe('a cursor', () => {
  test('reads back as it was written, whatever the epoch', () => {
    fc.assert(
      fc.property(epochs, seqs, (epoch, seq) => {
        expect(parseCursor(formatCursor(epoch, seq))).toEqual({ epoch, seq })
      }),
    )
  })

  test('is split at the last dot', () => {
    expect(parseCursor('k3q9.41')).toEqual({ epoch: 'k3q9', seq: 41 })
    expect(parseCursor('a.b.7')).toEqual({ epoch: 'a.b', seq: 7 })
    expect(parseCursor('1.2.3')).toEqual({ epoch: '1.2', seq: 3 })
    expect(parseCursor('..0')).toEqual({ epoch: '.', seq: 0 })
    expect(parseCursor('e.0')).toEqual({ epoch: 'e', seq: 0 })
  })

  test.each([
    ['nothing', ''],
    ['no dot', 'k3q9'],
    ['no seq', 'k3q9.'],
    ['no epoch', '.5'],
    ['a leading zero', 'e.01'],
    ['a sign', 'e.-1'],
    ['a plus', 'e.+1'],
    ['a fraction is a seq of a longer epoch, but an exponent is none', 'e.1e3'],
    ['hexadecimal', 'e.0x1'],
    ['digits of other scripts', 'e.٣'],
    ['white space inside', 'a b.1'],
    ['white space before', ' e.1'],
    ['white space after', 'e.1 '],
    ['a line break after', 'e.1\n'],
    ['a seq beyond what a number holds', 'e.9007199254740993'],
    ['a very long seq', `e.${'9'.repeat(1000)}`],
    ['an epoch of 65 characters', `${'e'.repeat(65)}.1`],
    ['words', 'undefined'],
    ['a NUL', '\u0000'],
  ])('cannot be read with %s', (_, text) => {
    expect(parseCursor(text)).toEqual(UNREADABLE)
  })

  test('of garbage never throws, and never names an epoch with white space', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const { epoch, seq } = parseCursor(text)
        expect(epoch).toMatch(/^\S{0,64}$/)
        expect(Number.isSafeInteger(seq)).toBe(true)
        if (epoch !== '') expect(formatCursor(epoch, seq)).toBe(text)
      }),
    )
  })

  test('of a megabyte of garbage is read quickly', () => {
    const started = performance.now()
    expect(parseCursor('.'.repeat(1_000_000))).toEqual(UNREADABLE)
    expect(parseCursor('e.'.repeat(500_000))).toEqual(UNREADABLE)
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  test('moves on by keeping everything up to its last dot', () => {
    expect(advanceCursor('k3q9.41', 42)).toBe('k3q9.42')
    expect(advanceCursor('a.b.c.9', 10)).toBe('a.b.c.10')
    fc.assert(
      fc.property(epochs, seqs, seqs, (epoch, from, to) => {
        expect(advanceCursor(formatCursor(epoch, from), to)).toBe(formatCursor(epoch, to))
      }),
    )
  })
})
