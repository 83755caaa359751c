import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { pageTests } from '../helpers/page.ts'
import { startRedis } from '../helpers/redis.ts'
import { SAMPLES, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const { visit } = pageTests()

/** What the header says of the connection. */
const badge = (page: Page) => page.getByRole('banner').getByRole('status')

/** The text, now and after the page has lived on for long enough that a clock would have moved. */
async function overTime(page: Page, text: () => Promise<string>): Promise<[string, string]> {
  const before = await text()
  await page.evaluate((ms) => new Promise((resolve) => setTimeout(resolve, ms)), 2500)
  return [before, await text()]
}

test('while Redis is away no page claims to be live, and no clock of what runs ticks on', async () => {
  const redis = await startRedis()
  const server = await startServer({ REDIS_URL: redis.url, ...SAMPLES })
  onTestFinished(async () => {
    process.kill(redis.pid, 'SIGCONT')
    await server.stop()
    await redis.stop()
  })
  const answer = await fetch(`${server.url}/api/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'countdown', payload: { steps: 1000, stepMs: 100 } }),
  })
  const { jobId } = (await answer.json()) as { jobId: string }

  const open = (path: string) => visit({ url: `${server.url}${path}`, callsMayFail: true })
  const [home, job, overview] = await Promise.all([open('/'), open(`/jobs/${jobId}`), open('/overview')])
  const listed = home.getByText(/^\d+ s$/).first()
  await listed.waitFor()
  await badge(home).filter({ hasText: 'WebSocket' }).waitFor()
  await badge(job).filter({ hasText: 'WebSocket' }).waitFor()
  const runs = job.getByText('Running for').locator('xpath=following-sibling::*')
  await runs.waitFor()

  process.kill(redis.pid, 'SIGSTOP')
  await badge(home).filter({ hasText: 'Store away' }).waitFor()
  await badge(job).filter({ hasText: 'Store away' }).waitFor()
  await job.getByText('What you see may be a little behind').waitFor()
  await home.getByText('What you see may be out of date').waitFor()
  await overview.getByText('What you see may be out of date').waitFor()
  const [[first, second], [third, fourth]] = await Promise.all([
    overTime(job, () => runs.innerText()),
    overTime(home, () => listed.innerText()),
  ])
  expect([second, fourth]).toEqual([first, third])

  process.kill(redis.pid, 'SIGCONT')
  await badge(home).filter({ hasText: 'WebSocket' }).waitFor()
  await badge(job).filter({ hasText: 'WebSocket' }).waitFor()
  await job.getByText('What you see may be a little behind').waitFor({ state: 'hidden' })
  const before = await runs.innerText()
  await until(async () => (await runs.innerText()) !== before, { what: 'the clock to go on' })
})
