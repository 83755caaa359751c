import { cp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { SubmitAnswer } from '../../shared/api.ts'
import { parseCursor } from '../../shared/cursor.ts'
import { until } from '../helpers/until.ts'
import { LEASE_MS } from './harness/deployment.ts'
import { faultTest } from './harness/fault-test.ts'
import { expectQuickRefusals, expectUnready, untilMore } from './harness/faults.ts'
import { call } from './harness/http.ts'
import type { Lab } from './harness/lab.ts'
import type { Node } from './harness/node.ts'
import { within } from './harness/within.ts'

const LONG = { type: 'steps', payload: { steps: 60, stepMs: 50 } }
const aof = (fsync: string) => ['--appendonly', 'yes', '--appendfsync', fsync]

/** Until the types are registered again, a process that knows none of its own refuses them with 400. */
async function isAccepted(lab: Lab, api: Node): Promise<boolean> {
  const { status, body } = await call(`${api.url}/api/jobs`, 'POST', { body: { type: 'steps', payload: {} } })
  if (status !== 202) return false
  lab.ledger.accept(SubmitAnswer.parse(body).jobId)
  return true
}

async function epochOf(lab: Lab, jobId: string): Promise<string> {
  return parseCursor((await lab.job(jobId)).cursor).epoch
}

/** Learns from the store what workers can run: their types are lost with everything else. */
const KNOWS_NO_TYPES = { JOBCAST_JOBS: '' }

describe('a Redis that dies', () => {
  faultTest(
    'redis-server kill -9 and restart under load, appendfsync always',
    { on: ['redis'], redis: { args: aof('always') } },
    async (lab) => {
      await lab.start({ all: 2 })
      lab.load()
      await untilMore(lab, 'accepted', 20)
      const watched = lab.watch(await lab.submit(LONG))
      await until(() => watched.job?.status === 'processing', { what: 'a running job' })
      await lab.redis.server.kill()
      await untilMore(lab, 'refusals')
      await expectUnready(lab, /Redis at 127\.0\.0\.1:\d+ /)
      await lab.redis.server.restart()
      lab.over()
      await untilMore(lab, 'accepted', 20)
      expectQuickRefusals(lab)
      await until(() => watched.reasons.includes('epoch'), {
        timeoutMs: within(15_000),
        what: 'a snapshot with its reason',
      })
    },
  )

  faultTest(
    'redis-server away for longer than a lease, under workers that wait',
    { on: ['redis'], soak: 50, redis: { args: aof('always') } },
    async (lab) => {
      await lab.start({ all: 2 })
      await lab.post('/api/types/steps/pause')
      const jobIds = await lab.submitMany(30, { type: 'steps', options: { maxStalls: 0 } })
      await lab.redis.server.kill()
      await pause(LEASE_MS + 500)
      await lab.redis.server.restart()
      lab.over()
      await until(async () => (await lab.post('/api/types/steps/resume')).status < 300, {
        timeoutMs: within(15_000),
        what: 'the type to be resumed',
      })
      // What is claimed for the first time after the outage has a whole lease.
      for (const jobId of jobIds) {
        expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
      }
    },
  )

  faultTest(
    'redis-server kill -9 and restart under load, appendfsync everysec, its last second lost',
    { on: ['redis'], redis: { args: aof('everysec') }, losesHistory: true },
    async (lab) => {
      await lab.start({ all: 2 })
      const { server, operator } = lab.redis
      const files = join(server.dir, 'appendonlydir')
      lab.load()
      await untilMore(lab, 'accepted', 20)
      const long = await lab.submit(LONG)
      const watched = lab.watch(long)
      await until(() => watched.job?.status === 'processing', { what: 'a running job' })
      // What reached the disk before the power failed: kill -9 alone would leave the rest to the kernel.
      await cp(files, `${files}-durable`, { recursive: true })
      await pause(900)
      await server.kill()
      const killedAt = performance.now()
      await rm(files, { recursive: true })
      await rename(`${files}-durable`, files)
      await untilMore(lab, 'refusals')
      await server.restart()
      lab.over()
      await untilMore(lab, 'accepted', 20)
      const isGone = () => watched.sightings.at(-1)?.saw === 'gone'
      await until(() => watched.reasons.includes('epoch') || isGone(), {
        timeoutMs: within(15_000),
        what: 'a snapshot with its reason, or not_found',
      })
      const lost = await lab.untilLossIsKnown()
      // While Redis waits for its disk, what is under way may not be there either.
      expect(lost.includes(long)).toBe(isGone())
      for (const jobId of lost) {
        expect(killedAt - (lab.ledger.acceptedAt.get(jobId) ?? 0)).toBeLessThan(2000)
      }
      const commands = async () =>
        Number(/total_commands_processed:(\d+)/.exec(await operator.info('stats'))?.[1])
      const before = await commands()
      await pause(1000)
      expect((await commands()) - before, 'commands a second when nothing is to be done').toBeLessThan(500)
    },
  )

  faultTest(
    'redis-server kill -9 and restart under load, empty',
    { on: ['redis'], losesHistory: true },
    async (lab) => {
      await lab.start({ apiEnv: KNOWS_NO_TYPES })
      lab.load()
      const running = await lab.submit(LONG)
      const watched = lab.watch(running)
      await untilMore(lab, 'accepted', 20)
      await lab.untilBegun(running)
      await lab.redis.server.kill()
      await untilMore(lab, 'refusals')
      await lab.redis.server.restart()
      lab.over()
      await untilMore(lab, 'accepted', 20)
      await until(() => watched.sightings.at(-1)?.saw === 'gone', {
        timeoutMs: within(15_000),
        what: 'not_found',
      })
    },
  )

  faultTest('FLUSHALL', { on: ['redis'], losesHistory: true }, async (lab) => {
    await lab.start({ apiEnv: KNOWS_NO_TYPES })
    lab.load()
    const running = await lab.submit(LONG)
    const watched = lab.watch(running)
    await untilMore(lab, 'accepted', 20)
    await lab.untilBegun(running)
    const before = await epochOf(lab, running)
    await lab.redis.operator.flushall()
    lab.over()
    await untilMore(lab, 'accepted', 20)
    await until(() => watched.sightings.at(-1)?.saw === 'gone', {
      timeoutMs: within(15_000),
      what: 'not_found',
    })
    await until(async () => (await epochOf(lab, await lab.submit({ type: 'steps' }))) !== before, {
      timeoutMs: within(15_000),
      what: 'another epoch',
    })
    // Whoever starts now learns the types from the store again.
    const late = await lab.startApi(KNOWS_NO_TYPES)
    await until(() => isAccepted(lab, late), { timeoutMs: within(15_000), what: 'the types' })
    const end = async () => (await lab.runs(running)).find(({ what }) => what !== 'begun')
    expect(await until(end, { what: 'the signal of a run without a job' })).toMatchObject({ what: 'stopped' })
  })
})
