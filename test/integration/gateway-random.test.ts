import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { FeedMessage } from '../../server/engine/engine.ts'
import { Outbox, type Pipe } from '../../server/gateway/outbox.ts'
import { Subscription } from '../../server/gateway/transports/websocket/subscription.ts'
import { type Gateway, openGateway, type Run } from '../helpers/gateway.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { breachesOfOrder } from '../helpers/subscriber/sightings.ts'
import { Subscriber } from '../helpers/subscriber/subscriber.ts'
import { TRANSPORTS } from '../helpers/subscriber/wires.ts'
import { until } from '../helpers/until.ts'

const hub = { lingerMs: 20, check: { checkMs: 150, retryMs: 30, graceMs: 30 } }
const gateways: Gateway[] = []
afterEach(async () => {
  for (const gateway of gateways.splice(0)) {
    await gateway.close()
    expect(gateway.feed.watching).toBe(0)
    expect(gateway.seen('failure')).toEqual([])
  }
})

async function open(options: { redisUrl?: string; prefix?: string } = {}): Promise<Gateway> {
  const gateway = await openGateway({ hub, ...options })
  gateways.push(gateway)
  return gateway
}

type Random = () => number

/** How often the clients of a trial come and go, together, at the least. */
const LEGS = 200

/** Goes on until clients have come and gone often enough, which takes longer on a busy machine. */
async function produce(run: Run, random: Random, isEnough: () => boolean): Promise<void> {
  for (let report = 0; report < 80 || !isEnough(); report++) {
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

function disturb(random: Random, lost: () => void) {
  return (message: FeedMessage, deliver: (message: FeedMessage) => void) => {
    const fate = random()
    if (fate < 0.15) {
      lost()
      return
    }
    if (fate < 0.3) setTimeout(() => deliver(message), random() * 60)
    else deliver(message)
    if (fate > 0.85) deliver(message)
  }
}

/** Over any transport at any gateway, for a moment each time; longer where on a busy machine nothing arrives in a moment. */
function restless(jobId: string, random: Random): Subscriber {
  let legs = 0
  const pick = <T>(all: readonly [T, ...T[]]): T => all[Math.floor(random() * all.length)] ?? all[0]
  return new Subscriber({
    jobId,
    transport: () => pick(TRANSPORTS),
    addresses: () => gateways.map(({ port }) => `http://127.0.0.1:${port}`),
    dropAfter: () => random() * 100 * 2 ** Math.floor(legs++ / 20),
    comeBackAfter: () => 0,
  })
}

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

test.each([
  ['one gateway on SQLite', () => open().then((gateway) => [gateway] as const)],
  [
    'two gateways on Redis',
    async () => {
      const shared = { redisUrl: redis.url, prefix: `random-${crypto.randomUUID()}` }
      return [await open(shared), await open(shared)] as const
    },
  ],
])(
  '%s: whatever the feed loses and however a client comes back, it sees everything once',
  { timeout: 120_000 },
  async (_name, openAll) => {
    const [first] = await openAll()
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = mulberry32(seed)
    let lost = 0
    for (const gateway of gateways) {
      gateway.feed.disturb = disturb(random, () => {
        lost++
      })
    }
    const runs = await Promise.all(Array.from({ length: 3 }, () => first.run({ seed })))
    const subscribers = runs.flatMap(({ jobId }) => Array.from({ length: 4 }, () => restless(jobId, random)))
    const legs = () => subscribers.reduce((sum, subscriber) => sum + subscriber.legs.length, 0)
    await Promise.all(runs.map((run) => produce(run, random, () => legs() > LEGS)))
    await until(() => subscribers.every(({ isOver }) => isOver), { what: 'every end', timeoutMs: 60_000 })
    for (const { jobId, sightings, failure, job } of subscribers) {
      const [stored] = await first.engine.feed.read([{ jobId, after: null, history: true, withJob: true }])
      expect(failure, `seed ${seed}`).toBeNull()
      expect(breachesOfOrder(sightings, stored?.events ?? []), `seed ${seed}`).toEqual([])
      expect(job, `seed ${seed}`).toEqual(stored?.job)
    }
    expect(lost).toBeGreaterThan(0)
    for (const { feed, hub } of gateways) {
      await until(() => hub.info().subscriptions === 0 && hub.info().sockets === 0 && feed.watching === 0)
    }
  },
)

test('subscribe and unsubscribe in any order: every one is answered, the last one decides, nothing is left', async () => {
  const gateway = await open()
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
        const outbox = new Outbox({
          pipe: sink(frames),
          budget: gateway.hub.outputBudget,
          onSlow: () => {},
          onSent: () => {},
        })
        const subscriptions = runs.map(
          ({ jobId }) => new Subscription({ jobId, hub: gateway.hub, outbox, owner: { idle: () => {} } }),
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
    // With every seed, in real processes: test/fault/gateway-clients.test.ts.
    { numRuns: 1000 },
  )
  await until(() => gateway.hub.info().subscriptions === 0 && gateway.feed.watching === 0)
})

function sink(frames: { op: string; jobId: string }[]): Pipe {
  return {
    unsent: () => 0,
    taken: () => 0,
    write: (chunks) => {
      for (const chunk of chunks) frames.push(JSON.parse(chunk.toString('utf8', chunk.indexOf('{'))))
    },
  }
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
