import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { FeedMessage } from '../../server/engine/engine.ts'
import { longPoll } from '../../server/gateway/long-poll.ts'
import { Outbox, type Pipe } from '../../server/gateway/outbox.ts'
import { openStream } from '../../server/gateway/sse.ts'
import { Subscription } from '../../server/gateway/subscription.ts'
import { advanceCursor } from '../../shared/cursor.ts'
import type { JobEvent } from '../../shared/event.ts'
import { fold } from '../../shared/fold.ts'
import type { Job } from '../../shared/job.ts'
import { isTerminal } from '../../shared/status.ts'
import { type Gateway, openGateway, type Run } from '../helpers/gateway.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { StreamReader } from '../helpers/stream-reader.ts'
import { until } from '../helpers/until.ts'

let gateway: Gateway
const hub = { lingerMs: 20, check: { checkMs: 150, retryMs: 30, graceMs: 30 } }
afterEach(async () => {
  await gateway.close()
  expect(gateway.feed.watching).toBe(0)
  expect(gateway.seen('failure')).toEqual([])
})

type Random = () => number
type Transport = 'socket' | 'sse' | 'poll'

/** One subscriber as the protocol describes it: a job, a cursor, and every event that it was given. */
class Follower {
  readonly jobId: string
  job: Job | null = null
  cursor = ''
  ended = false
  readonly events: JobEvent[] = []

  constructor(jobId: string) {
    this.jobId = jobId
  }

  snapshot(job: Job, reason: string, events: readonly JobEvent[]): void {
    expect(reason).toBe('new')
    expect(this.job).toBeNull()
    this.job = job
    this.cursor = job.cursor
    this.events.push(...events)
  }

  apply(event: JobEvent): void {
    if (this.job === null) throw new Error('an event before the snapshot')
    expect(event.seq).toBeGreaterThan(this.seq)
    this.job = fold(this.job, event)
    this.cursor = advanceCursor(this.cursor, event.seq)
    this.events.push(event)
  }

  get seq(): number {
    return Number(this.cursor.split('.').at(-1))
  }
}

/** Watches until the end or until the connection is cut, whichever is first. */
const legs: Record<Transport, (follower: Follower, cutMs: number) => Promise<void>> = {
  async socket(follower, cutMs) {
    const after = encodeURIComponent(follower.cursor)
    const client = gateway.connect(`?job=${follower.jobId}&after=${after}&history=1`)
    await until(() => client.all('end').length > 0, { timeoutMs: cutMs, intervalMs: 2 }).catch(() => {})
    // What arrived before the cut was applied, what comes after it is lost.
    const frames = [...client.frames]
    client.ws.terminate()
    for (const frame of frames) {
      if (frame.op === 'subscribed') {
        if (frame.mode === 'snapshot') follower.snapshot(frame.job, frame.reason, frame.events ?? [])
        else for (const event of frame.events) follower.apply(event)
      } else if (frame.op === 'event') {
        expect(frame.prev).toBe(follower.seq)
        const { op: _op, jobId: _jobId, prev: _prev, ...event } = frame
        follower.apply(event)
      } else if (frame.op === 'end') {
        expect(frame.cursor).toBe(follower.cursor)
        follower.ended = true
      }
    }
  },

  async sse(follower, cutMs) {
    const answer = await openStream(gateway.hub, {
      jobId: follower.jobId,
      after: follower.cursor,
      history: true,
    })
    if (answer.kind === 'finished') {
      expect(follower.job && isTerminal(follower.job.status)).toBe(true)
      follower.ended = true
    }
    if (answer.kind !== 'stream') return
    const reader = new StreamReader(answer.body)
    await until(() => reader.events.at(-1)?.event === 'end', { timeoutMs: cutMs, intervalMs: 2 }).catch(
      () => {},
    )
    const events = [...reader.events]
    await reader.cancel()
    for (const { event, data, id } of events) {
      if (event === 'snapshot') {
        const snapshot = data as { job: Job; reason: string; events: JobEvent[] }
        follower.snapshot(snapshot.job, snapshot.reason, snapshot.events)
      } else if (event === 'end') {
        follower.ended = true
      } else if (event !== 'ping') {
        follower.apply(data as JobEvent)
      }
      if (event !== 'ping') expect(id).toBe(follower.cursor)
    }
  },

  async poll(follower, cutMs) {
    const answer = await longPoll(gateway.hub, {
      jobId: follower.jobId,
      after: follower.cursor,
      waitMs: cutMs,
      history: true,
    })
    if (answer === null) throw new Error('the job is gone')
    if (answer.mode === 'snapshot') {
      const { mode: _mode, reason, events, ...job } = answer
      follower.snapshot(job, reason, events)
    } else {
      const { mode: _mode, events, ...job } = answer
      for (const event of events) follower.apply(event)
      expect(follower.job).toEqual(job)
    }
    follower.ended = follower.job !== null && isTerminal(follower.job.status)
  },
}

async function produce(run: Run, random: Random): Promise<void> {
  for (let report = 0; report < 40; report++) {
    const events = Array.from({ length: Math.ceil(random() * 4) }, () => {
      const kind = random()
      if (kind < 0.4)
        return { kind: 'progress', data: { percent: Math.floor(random() * 100), note: null } } as const
      if (kind < 0.7) return { kind: 'log', data: { level: 'info', line: `${random()}` } } as const
      return {
        kind: 'chunk',
        data: { value: random(), text: 'c'.repeat(random() < 0.1 ? 50_000 : 10) },
      } as const
    })
    await run.report(...events)
    await new Promise((resolve) => setTimeout(resolve, random() * 15))
  }
  await run.settle({ kind: 'completed', result: { value: random() } })
}

function disturb(random: Random) {
  return (message: FeedMessage, deliver: (message: FeedMessage) => void) => {
    const fate = random()
    if (fate < 0.15) return
    if (fate < 0.3) setTimeout(() => deliver(message), random() * 60)
    else deliver(message)
    if (fate > 0.85) deliver(message)
  }
}

async function follow(follower: Follower, random: Random): Promise<void> {
  const transports: Transport[] = ['socket', 'sse', 'poll']
  while (!follower.ended) {
    const transport = transports[Math.floor(random() * 3)] ?? 'poll'
    await legs[transport](follower, 5 + random() * 200)
  }
}

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

test.each(['sqlite', 'redis'])(
  '%s: whatever the feed loses and however a client comes back, it sees everything once',
  {
    timeout: 120_000,
  },
  async (engine) => {
    gateway = await openGateway({ hub, ...(engine === 'redis' && { redisUrl: redis.url }) })
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = mulberry32(seed)
    gateway.feed.disturb = disturb(random)
    const runs = await Promise.all(Array.from({ length: 6 }, () => gateway.run({ seed })))
    const followers = runs.flatMap(({ jobId }) => Array.from({ length: 4 }, () => new Follower(jobId)))
    await Promise.all([
      ...runs.map((run) => produce(run, random)),
      ...followers.map((follower) => follow(follower, random)),
    ])
    for (const follower of followers) {
      const [stored] = await gateway.engine.feed.read([
        { jobId: follower.jobId, after: null, history: true, withJob: true },
      ])
      expect(follower.job, `seed ${seed}`).toEqual(stored?.job)
      expect(lasting(follower.events), `seed ${seed}`).toEqual(lasting(stored?.events ?? []))
    }
    expect(gateway.seen('feed.gap').length).toBeGreaterThan(0)
    // Several connections a follower, over all transports.
    expect(gateway.seen('gateway.opened').length).toBeGreaterThan(followers.length * 3)
    await until(() => gateway.hub.info().subscriptions === 0 && gateway.hub.info().sockets === 0)
  },
)

test('subscribe and unsubscribe in any order: every one is answered, the last one decides, nothing is left', {
  timeout: 120_000,
}, async () => {
  gateway = await openGateway({ hub })
  const runs = [await gateway.run(), await gateway.run()]
  const operation = fc.record({
    job: fc.nat({ max: runs.length - 1 }),
    op: fc.constantFrom('subscribe', 'subscribe', 'unsubscribe', 'renew'),
    pause: fc.nat({ max: 3 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      async (operations, cut) => {
        const frames: { op: string; jobId: string }[] = []
        const outbox = new Outbox({ pipe: sink(frames), onSlow: () => {}, onSent: () => {} })
        const subscriptions = runs.map(
          ({ jobId }) => new Subscription({ jobId, hub: gateway.hub, outbox, onIdle: () => {} }),
        )
        const permit = async () => ({ ok: true, expiresAt: null }) as const
        for (const { job, op, pause } of operations) {
          if (op === 'subscribe') subscriptions[job]?.subscribe({ after: '', history: false, permit })
          else if (op === 'unsubscribe') subscriptions[job]?.unsubscribe()
          else subscriptions[job]?.renew(permit)
          for (let turn = 0; turn < pause; turn++) await new Promise((resolve) => setImmediate(resolve))
        }
        if (!cut) {
          for (const [job, { jobId }] of runs.entries()) {
            const own = operations.filter((one) => one.job === job && one.op !== 'renew')
            const answers = () => frames.filter((frame) => frame.jobId === jobId && frame.op !== 'error')
            await until(() => answers().length === own.length, { intervalMs: 1 })
            expect(answers().map(({ op }) => op)).toEqual(own.map(({ op }) => `${op}d`))
            expect(subscriptions[job]?.isLive ?? false).toBe(own.at(-1)?.op === 'subscribe')
          }
        }
        for (const subscription of subscriptions) subscription.dispose()
        outbox.close()
      },
    ),
    { numRuns: 10_000 },
  )
  await until(() => gateway.hub.info().subscriptions === 0 && gateway.feed.watching === 0)
})

function sink(frames: { op: string; jobId: string }[]): Pipe {
  return {
    unsent: () => 0,
    taken: () => 0,
    write: (chunk) => frames.push(JSON.parse(chunk.toString('utf8', chunk.indexOf('{')))),
    cork() {},
    uncork() {},
  }
}

function lasting(events: readonly JobEvent[]): JobEvent[] {
  return events.filter(({ kind }) => kind !== 'progress')
}

/** A seeded generator, so that a failure can be repeated as far as timing allows. */
function mulberry32(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
