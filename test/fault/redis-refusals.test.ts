import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { runServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import { every, expectQuickRefusals, expectUnready, untilMore } from './harness/faults.ts'
import { isSoak } from './harness/repetitions.ts'
import { openRedisStore } from './harness/store.ts'

const ON_REDIS = { on: ['redis'] } as const
const LONG = { type: 'steps', payload: { steps: 40, stepMs: 50 } }

describe('a Redis that answers badly', () => {
  faultTest('SCRIPT FLUSH every 50 ms', ON_REDIS, async (lab) => {
    await lab.start({ all: 2 })
    const { operator } = lab.redis
    const load = lab.load()
    const flushing = every(50, () => operator.script('FLUSH'))
    await untilMore(lab, 'accepted', 20)
    await load.stop()
    await flushing.stop()
    lab.over()
    expect(lab.ledger.refusals).toEqual([])
  })

  faultTest('CLIENT KILL TYPE normal and pubsub every 200 ms', { ...ON_REDIS, soak: 20 }, async (lab) => {
    await lab.start({ all: 2 })
    const { operator } = lab.redis
    lab.load()
    const killing = every(200, async () => {
      await operator.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await operator.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    })
    const returned = async () => (await lab.runs()).filter(({ what }) => what === 'returned').length
    for (let second = 0; second < (isSoak ? 60 : 4); second += 2) {
      const before = await returned()
      await pause(2000)
      expect(await returned(), 'runs that returned').toBeGreaterThan(before)
    }
    await killing.stop()
    lab.over()
    expectQuickRefusals(lab)
  })

  faultTest('CLIENT PAUSE 10000 ALL', ON_REDIS, async (lab) => {
    await lab.start({ all: 1 })
    lab.load({ everyMs: 100 })
    await untilMore(lab, 'accepted')
    const resumed = pause(10_000)
    await lab.redis.operator.call('CLIENT', 'PAUSE', '10000', 'ALL')
    await untilMore(lab, 'refusals')
    await expectUnready(lab, /does not answer/)
    await resumed
    lab.over()
    await untilMore(lab, 'accepted')
    expectQuickRefusals(lab)
  })

  faultTest(
    'DEBUG SLEEP 5',
    { ...ON_REDIS, redis: { args: ['--enable-debug-command', 'yes'] } },
    async (lab) => {
      await lab.start({ all: 1 })
      lab.load({ everyMs: 100 })
      await untilMore(lab, 'accepted')
      const awake = lab.redis.operator.call('DEBUG', 'SLEEP', '5')
      await untilMore(lab, 'refusals')
      await expectUnready(lab, /does not answer/)
      await awake
      lab.over()
      await untilMore(lab, 'accepted')
      expectQuickRefusals(lab)
    },
  )

  faultTest('maxmemory reached', ON_REDIS, async (lab) => {
    await lab.start({ all: 1 })
    const { operator } = lab.redis
    const running = await lab.submit(LONG)
    await lab.untilBegun(running)
    await operator.config('SET', 'maxmemory', '1')
    expect(await lab.ledger.submit(lab.api, LONG)).toBeNull()
    expect(lab.ledger.refusals).toMatchObject([{ status: 503, code: 'unavailable' }])
    await expectUnready(lab, /out of memory/)
    expect(await lab.untilEnded(running)).toMatchObject({ status: 'completed', stalls: 0 })
    await operator.config('SET', 'maxmemory', '0')
    lab.over()
    expectQuickRefusals(lab)
  })

  faultTest('REPLICAOF: a read-only replica for 3 s', { ...ON_REDIS, soak: 50 }, async (lab) => {
    await lab.start({ all: 1 })
    const { operator } = lab.redis
    lab.load({ everyMs: 100 })
    await untilMore(lab, 'accepted')
    await operator.call('REPLICAOF', '127.0.0.1', '1')
    await untilMore(lab, 'refusals')
    await expectUnready(lab, /read-only replica/)
    await pause(3000)
    await operator.call('REPLICAOF', 'NO', 'ONE')
    lab.over()
    await untilMore(lab, 'accepted')
    expectQuickRefusals(lab)
  })

  faultTest(
    'MISCONF: Redis cannot save, and takes no writes',
    { ...ON_REDIS, soak: 50, redis: { args: ['--enable-protected-configs', 'yes'] } },
    async (lab) => {
      await lab.start({ all: 1 })
      const { operator, server } = lab.redis
      lab.load({ everyMs: 100 })
      await untilMore(lab, 'accepted')
      await operator.config('SET', 'dir', '/proc')
      await operator.config('SET', 'save', '3600 1')
      await operator.bgsave().catch(() => {})
      await untilMore(lab, 'refusals')
      await expectUnready(lab, /cannot save/)
      await operator.config('SET', 'save', '')
      await operator.config('SET', 'dir', server.dir)
      lab.over()
      await untilMore(lab, 'accepted')
      expectQuickRefusals(lab)
    },
  )

  faultTest('maxclients reached while every connection is lost', { ...ON_REDIS, soak: 50 }, async (lab) => {
    await lab.start({ all: 1 })
    const { operator } = lab.redis
    lab.load({ everyMs: 100 })
    await untilMore(lab, 'accepted')
    await operator.config('SET', 'maxclients', '1')
    await operator.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await operator.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await untilMore(lab, 'refusals')
    await expectUnready(lab, /cannot be used|max number of clients/)
    await operator.config('SET', 'maxclients', '1000')
    lab.over()
    await untilMore(lab, 'accepted')
    expectQuickRefusals(lab)
  })

  // What a script may not do breaks it half-way, but for publishing, without which everything comes late.
  for (const command of ['publish', 'zadd', 'hset', 'zrem']) {
    faultTest(`ACL SETUSER default -${command} for 4 s`, { ...ON_REDIS, soak: 50 }, async (lab) => {
      await lab.start({ all: 2 })
      const { operator } = lab.redis
      lab.load({ everyMs: 50 })
      await untilMore(lab, 'accepted')
      await operator.call('ACL', 'SETUSER', 'default', `-${command}`)
      const over = pause(4000)
      await (command === 'publish' || command === 'zrem'
        ? untilMore(lab, 'accepted')
        : untilMore(lab, 'refusals'))
      if (command === 'publish') await expectUnready(lab, /does not allow this user/)
      await over
      await operator.call('ACL', 'SETUSER', 'default', `+${command}`)
      lab.over()
      await untilMore(lab, 'accepted')
      expectQuickRefusals(lab)
    })
  }

  faultTest('an eviction policy that evicts, set while it runs', ON_REDIS, async (lab) => {
    await lab.start({ all: 1 })
    await lab.redis.operator.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await until(async () => (await lab.get('/readyz')).status === 503, { what: 'the process to say so' })
    await expectUnready(lab, /noeviction/)
    await lab.redis.operator.config('SET', 'maxmemory-policy', 'noeviction')
    lab.over()
  })

  test.concurrent('an eviction policy that evicts, found at the start', async ({ onTestFinished }) => {
    const store = await openRedisStore({ args: ['--maxmemory-policy', 'allkeys-lru'] })
    onTestFinished(() => store.close())
    for (const role of ['api', 'worker', 'all']) {
      const { code, stderr, stdout } = await runServer({ ...store.env, JOBCAST_ROLE: role })
      expect(code).toBe(1)
      expect(stdout).toBe('')
      expect(stderr).toMatch(/^jobcast: [^\n]*set maxmemory-policy noeviction[^\n]*\n$/)
    }
  })
})
