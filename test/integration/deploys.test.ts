import { afterAll, beforeAll, expect, test } from 'vitest'
import { PollAnswer } from '../../shared/api.ts'
import { submit, untilJob, untilTerminal } from '../helpers/api.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const OWN_JOBS = { JOBCAST_JOBS: new URL('../helpers/own-jobs.mjs', import.meta.url).pathname }
const DOUBLE = { type: 'double', payload: { number: 21 } }

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
/** The tests run at the same time, so what they leave is put away at the end. */
const cleanups: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
  await redis.stop()
})

const stores: [engine: 'sqlite' | 'redis', open: () => Promise<Record<string, string>>][] = [
  [
    'sqlite',
    async () => {
      const data = await dataFolder()
      cleanups.push(() => data.remove())
      return { JOBCAST_DATA: data.path }
    },
  ],
  ['redis', async () => ({ REDIS_URL: redis.url, JOBCAST_PREFIX: 'deploys' })],
]

async function warningsOf({ url }: ServerProcess): Promise<readonly string[]> {
  const response = await fetch(`${url}/readyz`)
  const { warnings } = (await response.json()) as { warnings: readonly string[] }
  return warnings.filter((warning) => warning.includes('type double'))
}

test.concurrent.each(stores)(
  'a deploy without a type that has jobs is seen on %s, and they run once it is back',
  async (engine, open) => {
    const store = await open()
    const deploy = async (env: Record<string, string>) => {
      const server = await startServer({ ...store, ...env })
      cleanups.push(() => server.kill())
      return server
    }
    const before = await deploy(OWN_JOBS)
    const { jobId } = await submit(before.url, { ...DOUBLE, options: { delayMs: 500 } })
    expect(await warningsOf(before)).toEqual([])
    await before.stop()

    const without = await deploy({})
    await untilJob(without.url, jobId, ({ status }) => status === 'queued', 'to be queued')
    const ask = async () =>
      PollAnswer.parse(await (await fetch(`${without.url}/api/jobs/${jobId}?place=0`)).json())
    expect((await ask()).queue).toEqual({ place: 1, startsAt: null, held: 'no_worker' })
    expect(await warningsOf(without)).toEqual(['1 job of type double waits, and no live worker runs it'])
    expect(await (await fetch(`${without.url}/metrics`)).text()).toContain(
      'jobcast_queue_workers{type="double"} 0\n',
    )
    await until(() => without.output.stderr.includes('no live worker runs their types'), {
      what: 'the log line',
    })
    // Where another process may run it tomorrow it is taken, and nowhere else.
    const submitted = submit(without.url, DOUBLE)
    if (engine === 'redis') expect(await submitted).toMatchObject({ type: 'double', status: 'queued' })
    else await expect(submitted).rejects.toThrow(/^400 .*unknown_type.*\\"double\\"/)
    await without.stop()

    const after = await deploy(OWN_JOBS)
    expect(await untilTerminal(after.url, jobId)).toMatchObject({
      status: 'completed',
      result: 42,
      stalls: 0,
    })
    await until(async () => (await warningsOf(after)).length === 0, { what: 'no warning' })
    await after.stop()
  },
)
