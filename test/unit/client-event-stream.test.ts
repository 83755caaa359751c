import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { eventReader, type StreamedEvent } from '../../client/transports/event-stream.ts'

interface Read {
  readonly events: readonly StreamedEvent[]
  readonly retries: readonly number[]
}

function readHere(pieces: readonly string[]): Read {
  const events: StreamedEvent[] = []
  const retries: number[] = []
  const read = eventReader(
    (event) => events.push(event),
    (ms) => retries.push(ms),
  )
  for (const piece of pieces) read(piece)
  return { events, retries }
}

function readByLibrary(pieces: readonly string[]): Read {
  const events: StreamedEvent[] = []
  const retries: number[] = []
  const { feed } = createParser({
    onEvent: ({ event, id, data }) => events.push({ event, id, data }),
    onRetry: (ms) => retries.push(ms),
  })
  for (const piece of pieces) feed(piece)
  return { events, retries }
}

it('reads what the server sends, however it is cut', () => {
  const text = ': hello\n\nretry: 300\nid: e1.2\nevent: log\ndata: {"a":\ndata:1}\n\ndata\n\nevent: ping\n\n'
  const events = [
    { event: 'log', id: 'e1.2', data: '{"a":\n1}' },
    { event: undefined, id: undefined, data: '' },
  ]
  expect(readHere([text])).toEqual({ events, retries: [300] })
  expect(readHere([...text])).toEqual({ events, retries: [300] })
})

it('reads any stream as the library does that others read it with', () => {
  const field = fc.constantFrom('data', 'event', 'id', 'retry', 'other', '', 'data ', 'Data')
  const colon = fc.constantFrom(':', ': ', ':  ', '')
  const value = fc.oneof(fc.string(), fc.nat().map(String), fc.constantFrom('snapshot', 'a\0b', 'ü😀'))
  const end = fc.constantFrom('\n', '\r', '\r\n', '\n\n', '\r\r', '\r\n\r\n')
  const lines = fc.array(fc.tuple(field, colon, value, end).map((parts) => parts.join('')))
  const cuts = fc.array(fc.nat({ max: 200 }))
  fc.assert(
    fc.property(lines, cuts, (texts, at) => {
      // The library waits after a last `\r` for what may follow it.
      const text = `${texts.join('')}x\n`
      const marks = [0, ...at.filter((mark) => mark < text.length).sort((a, b) => a - b), text.length]
      const pieces = marks.slice(1).map((mark, index) => text.slice(marks[index], mark))
      expect(readHere(pieces)).toEqual(readByLibrary(pieces))
    }),
    { numRuns: 500 },
  )
})
