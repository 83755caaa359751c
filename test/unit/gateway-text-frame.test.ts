import { expect, test } from 'vitest'
import { Receiver } from 'ws'
import { textFrame } from '../../server/gateway/text-frame.ts'

/** What a WebSocket that reads the bytes makes of them. */
function read(bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const receiver = new Receiver({ isServer: false, maxPayload: 0 })
    receiver.on('message', (data: Buffer, isBinary: boolean) => resolve(`${isBinary} ${data}`))
    receiver.on('error', reject)
    receiver.write(bytes)
  })
}

test.each([0, 1, 125, 126, 127, 65_535, 65_536, 200_000])(
  'a text of %i bytes is read as it was',
  async (length) => {
    const text = 'x'.repeat(length)
    expect(await read(textFrame(text))).toBe(`false ${text}`)
  },
)

test('lengths count bytes, not characters', async () => {
  const text = 'ü€😀'.repeat(20)
  expect(await read(textFrame(text))).toBe(`false ${text}`)
})
