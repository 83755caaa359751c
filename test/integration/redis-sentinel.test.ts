import { describe, expect, type TestContext, test } from 'vitest'
import type { Engine, NewJob } from '../../server/engine/engine.ts'
import { Unavailable } from '../../server/engine/errors.ts'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { type Sentinels, startSentinels } from '../helpers/sentinels.ts'
import { until } from '../helpers/until.ts'

/** For another master to be found: the sentinels need a second or two themselves. */
const HEAL_MS = 15_000

type Of = Pick<TestContext, 'onTestFinished'>

async function startSome({ onTestFinished }: Of): Promise<Sentinels> {
  const sentinels = await startSentinels()
  onTestFinished(() => sentinels.stop())
  return sentinels
}

async function setUp(of: Of): Promise<{ sentinels: Sentinels; engine: Engine; epochs: string[] }> {
  const sentinels = await startSome(of)
  const epochs: string[] = []
  const engine = createRedisEngine({
    url: sentinels.url,
    prefix: 'sentinel',
    onUp: (epoch) => void epochs.push(epoch),
  })
  of.onTestFinished(() => engine.stop())
  await engine.start()
  return { sentinels, engine, epochs }
}

const job: NewJob = { type: 'work', payload: {}, policy: DEFAULT_OPTIONS, when: { delayMs: 0 } }

/** Submits until it is accepted; whatever is refused meanwhile must be refused for no other reason than the outage. */
const accepted = (engine: Engine) =>
  until(
    async () => {
      try {
        return (await engine.submit({ jobs: [job] })).jobs[0]?.jobId
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error
        return undefined
      }
    },
    { timeoutMs: HEAL_MS, what: 'a submission to be accepted' },
  )

// Together, each with servers of its own: they mostly wait for sentinels to agree.
describe.concurrent('Redis under sentinels', () => {
  test('a master that dies is replaced by its replica, in another epoch, with what it had replicated', async (context) => {
    const { sentinels, engine, epochs } = await setUp(context)
    const jobId = (await accepted(engine)) ?? ''
    const master = await sentinels.master()
    await sentinels.replicated()
    await master.kill()
    await until(() => epochs.length > 1, { timeoutMs: HEAL_MS, what: 'another epoch' })
    expect(epochs[1]).not.toBe(epochs[0])
    expect(await engine.get(jobId)).toMatchObject({ status: 'queued' })
    expect(await accepted(engine)).toBeDefined()
    expect(await sentinels.master()).not.toBe(master)
  })

  test('a master that is made a replica is left for the new one', async (context) => {
    const { sentinels, engine, epochs } = await setUp(context)
    expect(await accepted(engine)).toBeDefined()
    await sentinels.failOver()
    await until(() => epochs.length > 1, { timeoutMs: HEAL_MS, what: 'another epoch' })
    expect(await accepted(engine)).toBeDefined()
  })

  test('a sentinel that is down is passed over', async (context) => {
    const sentinels = await startSome(context)
    const url = sentinels.url.replace('//', '//127.0.0.1:1,')
    const engine = createRedisEngine({ url, prefix: 'sentinel' })
    context.onTestFinished(() => engine.stop())
    await engine.start()
    expect(await engine.check()).toEqual([
      expect.stringContaining('append-only'),
      expect.stringContaining('min-replicas-to-write'),
    ])
  })

  test('where no sentinel can be reached the start says so in one line, without the password', async ({
    onTestFinished,
  }) => {
    const engine = createRedisEngine({
      url: 'redis+sentinel://me:hunter2@127.0.0.1:1,127.0.0.1:2/jobs',
      prefix: 'sentinel',
    })
    onTestFinished(() => engine.stop())
    const error = await engine.start().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Unavailable)
    expect(String(error)).toMatch(
      /Redis at master jobs of the sentinels 127\.0\.0\.1:1,127\.0\.0\.1:2 .*REDIS_URL/,
    )
    expect(String(error)).not.toMatch(/hunter2|\n/)
  })
})
