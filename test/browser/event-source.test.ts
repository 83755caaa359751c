import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { getJob } from '../helpers/api.ts'
import { openBrowser } from '../helpers/browser.ts'
import { HELD_JOBS, hold } from '../helpers/line.ts'
import { startRedis } from '../helpers/redis.ts'
import { startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

let browser: Browser
beforeAll(async () => {
  browser = await openBrowser()
})
afterAll(() => browser?.close())

test('a bare EventSource comes back from a dead store, a draining server and a killed one, and misses nothing', async () => {
  const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  onTestFinished(() => redis.stop())
  const worker = await startServer({ REDIS_URL: redis.url, JOBCAST_ROLE: 'worker', ...HELD_JOBS })
  onTestFinished(() => worker.kill())
  const env = { REDIS_URL: redis.url, JOBCAST_ROLE: 'api' }
  let api = await startServer(env)
  onTestFinished(() => api.kill())
  const again = async () => {
    api = await startServer({ ...env, PORT: String(api.port) })
  }
  const page = await browser.newPage()
  onTestFinished(() => page.close())
  await page.goto(`${api.url}/healthz`)
  const { jobId, letGo } = await hold(api.url, {}, 'counting')

  await redis.kill()
  await page.evaluate((id) => {
    const seen: string[] = []
    const told = Object.assign(window, { seen, opened: 0, source: new EventSource(`/api/jobs/${id}/events`) })
    told.source.onopen = () => {
      told.opened += 1
    }
    for (const kind of ['snapshot', 'status', 'progress', 'chunk', 'end']) {
      told.source.addEventListener(kind, ({ data }) => {
        seen.push(kind === 'chunk' ? `step ${JSON.parse(data).data.step}` : kind)
      })
    }
  }, jobId)
  const told = () =>
    page.evaluate(() => {
      const { seen, opened, source } = window as unknown as {
        seen: string[]
        opened: number
        source: EventSource
      }
      return { seen, opened, isClosed: source.readyState === EventSource.CLOSED }
    })
  const news = async (what: string) => {
    const before = (await told()).seen.length
    await until(async () => (await told()).seen.length > before + 1, { what })
  }
  // Each round of a dead store is an answer of its own.
  await until(async () => (await told()).opened >= 2, { what: 'it to come back twice' })
  expect((await told()).isClosed).toBe(false)
  await redis.restart()
  await news('events of the store that is back')

  await api.stop()
  await again()
  await news('events after a drain')

  await api.kill()
  await again()
  await news('events after a kill')

  await letGo()
  await until(async () => (await told()).seen.includes('end'), { timeoutMs: 40_000, what: 'its end' })
  // It reconnects once more, and is told by 204 to stay away.
  await until(async () => (await told()).isClosed, { what: 'it to be closed for good' })
  const { seen } = await told()
  expect(seen.filter((one) => one === 'end' || one === 'snapshot')).toEqual(['snapshot', 'end'])
  const steps = seen.filter((one) => one.startsWith('step ')).map((one) => Number(one.slice(5)))
  const job = await getJob(api.url, jobId)
  expect(job.result).toEqual({ steps: steps.at(-1) })
  expect(steps).toEqual(steps.map((_, index) => (steps[0] ?? 0) + index))
})
