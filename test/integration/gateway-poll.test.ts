import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Unavailable } from '../../server/engine/errors.ts'
import { awaitTerminal, longPoll, type PollRequest } from '../../server/gateway/transports/long-poll.ts'
import { PollAnswer } from '../../shared/api.ts'
import { type Gateway, openGateway } from '../helpers/gateway.ts'
import { until } from '../helpers/until.ts'

let gateway: Gateway
beforeEach(async () => {
  gateway = await openGateway({ hub: { lingerMs: 20, check: { checkMs: 200, retryMs: 50, graceMs: 20 } } })
})
afterEach(async () => {
  expect(gateway.hub.info().polls).toBe(0)
  await gateway.close()
  expect(gateway.feed.watching).toBe(0)
  expect(gateway.seen('failure')).toEqual([])
})

const line = (text: string) => ({ kind: 'log', data: { level: 'info', line: text } }) as const
const LONG_MS = 15_000

async function poll(jobId: string, rest: Partial<PollRequest> = {}): Promise<PollAnswer> {
  const answer = await longPoll(gateway.hub, { jobId, after: null, waitMs: 0, history: false, ...rest })
  return PollAnswer.parse(answer)
}

/** Starts a poll and waits until it is held. */
async function held(jobId: string, rest: Partial<PollRequest> = {}) {
  const after = (await gateway.engine.get(jobId))?.cursor ?? ''
  const reads = gateway.feed.reads.length
  const answer = poll(jobId, { after, waitMs: LONG_MS, ...rest })
  await until(() => gateway.feed.reads.length > reads)
  return answer
}

describe('long-poll', () => {
  test("is not held beyond its caller's token", async () => {
    const run = await gateway.run()
    const answer = await held(run.jobId, { expiresAt: Date.now() + 200 })
    expect(answer).toMatchObject({ mode: 'resume', events: [] })
  })

  test('without a cursor a snapshot at once, flat, whatever the wait', async () => {
    const run = await gateway.run({ size: 3 })
    for (const after of [null, '']) {
      const answer = await poll(run.jobId, { after, waitMs: LONG_MS })
      const job = await gateway.engine.get(run.jobId)
      expect(answer).toEqual({ ...job, mode: 'snapshot', reason: 'new', events: [] })
    }
    expect(await poll(run.jobId, { after: 'rubbish', waitMs: LONG_MS })).toMatchObject({
      reason: 'epoch',
      events: [],
    })
    expect(await poll(run.jobId, { history: true })).toMatchObject({ events: [{ seq: 1 }, { seq: 2 }] })
  })

  test('held until there is an event', async () => {
    const run = await gateway.run()
    const [answer] = await Promise.all([held(run.jobId), reportSoon()])
    expect(answer).toMatchObject({ mode: 'resume', events: [{ seq: 3, kind: 'log' }], status: 'processing' })

    async function reportSoon() {
      await until(() => gateway.hub.info().polls === 1)
      await run.report(line('now'))
    }
  })

  test('answered with no events when the time is over', async () => {
    const run = await gateway.run()
    const after = (await gateway.engine.get(run.jobId))?.cursor ?? ''
    const answer = await poll(run.jobId, { after, waitMs: 50 })
    expect(answer).toEqual({ ...(await gateway.engine.get(run.jobId)), mode: 'resume', events: [] })
    expect(await poll(run.jobId, { after })).toEqual(answer)
  })

  test('an event between the watch and the read is not lost', async () => {
    const run = await gateway.run()
    const after = (await gateway.engine.get(run.jobId))?.cursor ?? ''
    let open = () => {}
    gateway.feed.gate = new Promise((resolve) => {
      open = resolve
    })
    const answer = poll(run.jobId, { after, waitMs: LONG_MS })
    await until(() => gateway.feed.reads.length === 1)
    await run.report(line('meanwhile'))
    open()
    expect(await answer).toMatchObject({ events: [{ seq: 3 }] })
  })

  test('a draining process answers held polls, and later ones, with no events', async () => {
    const run = await gateway.run()
    const [answer] = await Promise.all([
      held(run.jobId),
      until(() => gateway.hub.info().polls === 1).then(() => gateway.hub.drain()),
    ])
    expect(answer).toMatchObject({ mode: 'resume', events: [] })
    expect(await poll(run.jobId, { after: answer.cursor, waitMs: LONG_MS })).toEqual(answer)
  })

  test('a caller that is gone is let go; a store that is away is said', async () => {
    const run = await gateway.run()
    const abort = new AbortController()
    const after = (await gateway.engine.get(run.jobId))?.cursor ?? ''
    const request = { jobId: run.jobId, after, waitMs: LONG_MS, history: false, signal: abort.signal }
    const answer = longPoll(gateway.hub, request)
    await until(() => gateway.feed.watching === 1)
    abort.abort()
    expect(await answer).toBeNull()
    gateway.feed.down = true
    await expect(longPoll(gateway.hub, { ...request, waitMs: 0 })).rejects.toThrow(Unavailable)
    gateway.feed.down = false
  })
})

describe('waiting for a terminal status', () => {
  test('the whole job once it is terminal', async () => {
    const run = await gateway.run()
    const waiting = awaitTerminal(gateway.hub, run.jobId, LONG_MS)
    await until(() => gateway.feed.watching === 1)
    await run.report(line('not yet'))
    await run.settle({ kind: 'completed', result: 'x'.repeat(2_000_000) })
    expect(await waiting).toEqual(await gateway.engine.get(run.jobId))
    expect(await awaitTerminal(gateway.hub, run.jobId, LONG_MS)).toMatchObject({ status: 'completed' })
  })

  test('null when the time is over, the caller gone, the process draining, or the store away', async () => {
    const run = await gateway.run()
    expect(await awaitTerminal(gateway.hub, run.jobId, 30)).toBeNull()
    const abort = new AbortController()
    const left = awaitTerminal(gateway.hub, run.jobId, LONG_MS, abort.signal)
    await until(() => gateway.hub.info().polls === 1)
    abort.abort()
    expect(await left).toBeNull()
    gateway.feed.down = true
    expect(await awaitTerminal(gateway.hub, run.jobId, LONG_MS)).toBeNull()
    gateway.feed.down = false
    const drained = awaitTerminal(gateway.hub, run.jobId, LONG_MS)
    await until(() => gateway.hub.info().polls === 1)
    gateway.hub.drain()
    expect(await drained).toBeNull()
  })

  test('a lost terminal event is found', async () => {
    const run = await gateway.run()
    const waiting = awaitTerminal(gateway.hub, run.jobId, LONG_MS)
    await until(() => gateway.feed.watching === 1)
    gateway.feed.disturb = () => {}
    await run.settle({ kind: 'failed', error: 'e', errorCode: 'unrecoverable' })
    expect(await waiting).toMatchObject({ status: 'failed' })
  })
})
