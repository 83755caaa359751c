import { expect, test } from 'vitest'
import { textFrame } from '../../server/gateway/transports/websocket/server-frames.ts'

/** Reads the head by RFC 6455 section 5.2, and what is left must be the payload. */
function read(frame: Buffer) {
  const short = frame.readUInt8(1)
  const start = short === 127 ? 10 : short === 126 ? 4 : 2
  const length =
    short === 127 ? Number(frame.readBigUInt64BE(2)) : short === 126 ? frame.readUInt16BE(2) : short
  return { first: frame.readUInt8(0), length, payload: frame.subarray(start) }
}

test.each([
  [0, 2],
  [125, 2],
  [126, 4],
  [65_535, 4],
  [65_536, 10],
  [200_000, 10],
])('a text of %i bytes has a head of %i', (length, head) => {
  const text = 'x'.repeat(length)
  const frame = textFrame(text)
  expect(frame).toHaveLength(head + length)
  const { first, length: told, payload } = read(frame)
  expect(first).toBe(0x81)
  expect(told).toBe(length)
  expect(payload.toString()).toBe(text)
})

test('lengths count bytes, not characters', () => {
  const text = 'ü€😀'.repeat(20)
  const { length, payload } = read(textFrame(text))
  expect(length).toBe(Buffer.byteLength(text))
  expect(payload.toString()).toBe(text)
})
