import { describe, expect, test } from 'vitest'
import { mayReconnect } from '../../client/transports/socket.ts'
import * as CLOSE from '../../shared/close-codes.ts'
import { PROBLEMS } from '../../shared/codes.ts'
import { JobEvent } from '../../shared/event.ts'
import { NO_LABELS } from '../../shared/options.ts'
import { ClientFrame, Replay, ServerFrame } from '../../shared/protocol.ts'

const AT = '2026-11-23T15:49:00.000Z'
const accepts = (frame: unknown) => ClientFrame.safeParse(frame).success

describe('frames of a client', () => {
  test.each([
    { op: 'subscribe', jobId: 'j', after: 'k3q9.41', token: 't', history: true },
    { op: 'subscribe', jobId: 'j' },
    { op: 'subscribe', jobId: 'j', after: '' },
    { op: 'subscribe', jobId: 'j', after: 'x'.repeat(10_000), token: 't'.repeat(4096), history: false },
    { op: 'subscribe', jobId: 'x'.repeat(10_000) },
    { op: 'unsubscribe', jobId: 'j' },
    { op: 'token', jobId: 'j', token: 't' },
    { op: 'ping' },
    { op: 'pong' },
  ])('are taken as the protocol shows them: %j', (frame) => {
    expect(ClientFrame.parse(frame)).toEqual(frame)
  })

  test.each([
    null,
    [],
    'ping',
    1,
    {},
    { op: 'PING' },
    { op: 'hello' },
    { op: ['ping'] },
    { op: 'ping', extra: 1 },
    { op: 'pong', jobId: 'j' },
    { op: 'subscribe' },
    { op: 'subscribe', jobId: '' },
    { op: 'subscribe', jobId: 1 },
    { op: 'subscribe', jobId: null },
    { op: 'subscribe', jobId: ['j'] },
    { op: 'subscribe', jobId: 'j', after: 5 },
    { op: 'subscribe', jobId: 'j', after: null },
    { op: 'subscribe', jobId: 'j', token: '' },
    { op: 'subscribe', jobId: 'j', token: 't'.repeat(4097) },
    { op: 'subscribe', jobId: 'j', history: 1 },
    { op: 'subscribe', jobId: 'j', history: 'true' },
    { op: 'subscribe', jobId: 'j', unknown: 1 },
    { op: 'unsubscribe' },
    { op: 'unsubscribe', jobId: 'j', after: 'k.1' },
    { op: 'token', jobId: 'j' },
    { op: 'token', token: 't' },
    { op: 'token', jobId: 'j', token: '' },
  ])('are refused in any other shape: %j', (frame) => {
    expect(accepts(frame)).toBe(false)
  })

  test('with __proto__ are refused and pollute nothing', () => {
    expect(accepts(JSON.parse('{"op":"ping","__proto__":{"polluted":1}}'))).toBe(false)
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })
})

describe('frames of the server', () => {
  const job = {
    jobId: 'j',
    type: 't',
    status: 'queued',
    payload: null,
    progress: null,
    result: null,
    error: null,
    errorCode: null,
    attempt: 1,
    maxAttempts: 3,
    stalls: 0,
    priority: 0,
    ...NO_LABELS,
    createdAt: AT,
    scheduledFor: null,
    startedAt: null,
    completedAt: null,
    expiresAt: null,
    cancelRequested: false,
    cursor: 'e.1',
  }
  const event = {
    seq: 2,
    at: AT,
    kind: 'status',
    data: { status: 'processing', startedAt: AT, progress: null },
  }

  test.each([
    { op: 'hello', protocol: 1, heartbeatMs: 20_000, maxSubscriptions: 256, maxFrameBytes: 16_384 },
    { op: 'subscribed', jobId: 'j', mode: 'snapshot', reason: 'new', cursor: 'e.1', job },
    {
      op: 'subscribed',
      jobId: 'j',
      mode: 'snapshot',
      reason: 'trimmed',
      cursor: 'e.1',
      job,
      events: [event],
    },
    { op: 'subscribed', jobId: 'j', mode: 'resume', cursor: 'e.2', events: [event] },
    { op: 'event', jobId: 'j', prev: 1, ...event },
    { op: 'place', jobId: 'j', place: 3, startsAt: AT, held: null },
    { op: 'place', jobId: 'j', place: null, startsAt: null, held: 'no_worker' },
    { op: 'end', jobId: 'j', cursor: 'e.2', status: 'completed' },
    { op: 'unsubscribed', jobId: 'j', code: 'token_expired', retry: true },
    { op: 'error', jobId: 'j', code: 'not_found', message: 'no such job', retry: false },
    { op: 'error', code: 'bad_frame', message: 'not JSON', retry: false },
    { op: 'ping' },
    { op: 'pong' },
    { op: 'drain', reconnectMs: [500, 15_000] },
  ])('are as the protocol shows them: %j', (frame) => {
    expect(ServerFrame.parse(frame)).toEqual(frame)
  })

  test.each([
    { op: 'hello', protocol: 2, heartbeatMs: 1, maxSubscriptions: 1, maxFrameBytes: 1 },
    { op: 'subscribed', jobId: 'j', mode: 'snapshot', cursor: 'e.1', job },
    { op: 'subscribed', jobId: 'j', mode: 'snapshot', reason: 'because', cursor: 'e.1', job },
    { op: 'subscribed', jobId: 'j', mode: 'resume', cursor: 'e.2' },
    { op: 'event', jobId: 'j', ...event },
    { op: 'event', jobId: 'j', prev: -1, ...event },
    { op: 'end', jobId: 'j', cursor: 'e.2', status: 'done' },
    { op: 'unsubscribed', jobId: 'j', code: 'bored', retry: false },
    { op: 'error', code: 'teapot', message: '', retry: false },
    { op: 'drain', reconnectMs: [500] },
  ])('are nothing else: %j', (frame) => {
    expect(ServerFrame.safeParse(frame).success).toBe(false)
  })

  test('start a subscription with a whole job or with what came after the cursor, never a mixture', () => {
    expect(Replay.safeParse({ mode: 'snapshot', reason: 'new', cursor: 'e.1', events: [] }).success).toBe(
      false,
    )
    expect(Replay.safeParse({ mode: 'resume', cursor: 'e.1', job }).success).toBe(false)
  })

  test('carry events of four kinds, with seq from 1 and times in UTC to the millisecond', () => {
    const valid = (of: object) => JobEvent.safeParse({ ...event, ...of }).success
    expect(valid({})).toBe(true)
    expect(valid({ kind: 'progress', data: { percent: 42, note: '3 of 7 sizes' } })).toBe(true)
    expect(valid({ kind: 'log', data: { level: 'info', line: 'wrote 640x480' } })).toBe(true)
    for (const data of [null, 'any', 1, [], {}]) expect(valid({ kind: 'chunk', data })).toBe(true)
    expect(valid({ kind: 'other' })).toBe(false)
    for (const seq of [0, -1, 1.5, '1']) expect(valid({ seq })).toBe(false)
    for (const at of ['2026-11-23T15:49:00Z', '2026-11-23T15:49:00.000+01:00', '2026-11-23', 0]) {
      expect(valid({ at })).toBe(false)
    }
    for (const percent of [-1, 101, Number.NaN, '5']) {
      expect(valid({ kind: 'progress', data: { percent, note: null } })).toBe(false)
    }
    expect(valid({ kind: 'log', data: { level: 'fatal', line: '' } })).toBe(false)
  })
})

describe('codes', () => {
  test('of problems have the statuses of the protocol', () => {
    expect(PROBLEMS).toMatchObject({
      invalid_json: 400,
      unauthorized: 401,
      forbidden: 403,
      not_found: 404,
      method_not_allowed: 405,
      already_finished: 409,
      not_retryable: 409,
      not_finished: 409,
      payload_too_large: 413,
      unsupported_media_type: 415,
      idempotency_mismatch: 422,
      rate_limited: 429,
      unavailable: 503,
      outcome_unknown: 503,
    })
  })

  test('of closing tell clients to stay away from 4500 to 4999 only', () => {
    for (const code of [1000, 1001, 1006, 1012, 1013, 4000, 4001, 4002, 4499, 5000])
      expect(mayReconnect(code)).toBe(true)
    for (const code of [4500, 4501, 4502, 4503, 4999]) expect(mayReconnect(code)).toBe(false)
    expect(Object.values(CLOSE).every((code) => code < 1016 || code >= 4000)).toBe(true)
  })
})
