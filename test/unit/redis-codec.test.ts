import { describe, expect, test } from 'vitest'
import type { RunEvent } from '../../server/engine/engine.ts'
import { statusOf, TextEvent } from '../../server/engine/job/events.ts'
import { NewerWords } from '../../server/engine/job/newer-words.ts'
import { decodeMessage, encodeRunEvent } from '../../server/engine/redis/codec.ts'
import { JobEvent } from '../../shared/event.ts'

const TIME = Date.parse('2026-11-23T15:49:00.007Z')
const REPORTED: RunEvent[] = [
  { kind: 'progress', data: { percent: 42, note: '3 of 7 "sizes"' } },
  { kind: 'progress', data: { percent: 0.1, note: null } },
  { kind: 'log', data: { level: 'warn', line: 'é\u0000💥 \ud800 \\ "' } },
  { kind: 'chunk', data: { text: ' a  b ', list: [1, null, { x: 1e-7 }] } },
  { kind: 'chunk', data: 'text' },
  { kind: 'chunk', data: null },
]

describe('what a run reports', () => {
  test.each(REPORTED)('comes from the feed as text that need not be parsed: %j', (reported) => {
    const [kind, data] = encodeRunEvent(reported)
    const message = decodeMessage(`7 ${TIME} ${kind} ${data}`, new NewerWords())
    if (message.kind !== 'event' || !(message.event instanceof TextEvent)) throw new Error('no text')
    const event = { seq: 7, at: '2026-11-23T15:49:00.007Z', ...reported }
    expect(message.event.toText()).toBe(JSON.stringify(event))
    expect(JSON.stringify(message.event)).toBe(JSON.stringify(event))
    expect(message.event.data).toEqual(reported.data)
    expect(JobEvent.parse(JSON.parse(message.event.toText()))).toEqual(event)
  })
})

describe('a completion', () => {
  const RESULTS = [
    { url: 'a  b', sizes: [1, null, 1e-7] },
    'é\u0000💥 \ud800 \\ "',
    null,
    0,
    [],
    { ['__proto__']: 1 },
  ]

  test.each(RESULTS)('comes from the feed with its result as text: %j', (result) => {
    const stored = `7 ${TIME} completed lease ${TIME + 1000} ${JSON.stringify(result)}`
    const message = decodeMessage(stored, new NewerWords())
    if (message.kind !== 'event' || !(message.event instanceof TextEvent)) throw new Error('no text')
    const { event } = message
    expect(statusOf(event)).toBe('completed')
    expect(JSON.parse(event.toText())).toEqual({
      seq: 7,
      at: '2026-11-23T15:49:00.007Z',
      kind: 'status',
      data: {
        status: 'completed',
        error: null,
        errorCode: null,
        completedAt: '2026-11-23T15:49:00.007Z',
        expiresAt: '2026-11-23T15:49:01.007Z',
        result,
      },
    })
    expect(event.toText()).toContain(`"result":${JSON.stringify(result)}}`)
    expect(JSON.stringify(event)).toBe(event.toText())
  })
})

test('what an event makes of a job is known without its data being parsed', () => {
  const decode = (text: string) => {
    const message = decodeMessage(text, new NewerWords())
    return message.kind === 'event' ? statusOf(message.event) : null
  }
  expect(decode(`7 ${TIME} completed lease ${TIME} {"not JSON`)).toBe('completed')
  expect(decode(`7 ${TIME} claimed`)).toBe('processing')
  expect(decode(`7 ${TIME} cancelling`)).toBe(undefined)
  expect(decode(`7 ${TIME} chunk {"status":"failed"}`)).toBe(undefined)
})
