import { expect, onTestFinished, test } from 'vitest'
import { HELD_JOBS, hold } from '../helpers/line.ts'
import { pageTests, status } from '../helpers/page.ts'
import { dataFolder, startServer } from '../helpers/server.ts'

const { visit } = pageTests()

test('a page keeps what it shows while the server restarts in mid-job, and goes on by itself to the result', async () => {
  const data = await dataFolder()
  let own = await startServer({ JOBCAST_DATA: data.path, ...HELD_JOBS })
  onTestFinished(async () => {
    await own.stop()
    await data.remove()
  })
  const { jobId, letGo } = await hold(own.url, { progress: 40, result: { found: 'the right one' } })
  const page = await visit({ url: `${own.url}/jobs/${jobId}`, callsMayFail: true })
  await page.getByText('40 %', { exact: true }).waitFor()

  await own.kill()
  await page.getByText('Reconnecting. What you see').waitFor()
  await page.getByRole('heading', { name: 'held' }).waitFor()
  expect(await page.getByText('40 %', { exact: true }).count()).toBe(1)
  own = await startServer({ JOBCAST_DATA: data.path, PORT: String(own.port), ...HELD_JOBS })
  await page.getByText('Reconnecting. What you see').waitFor({ state: 'hidden' })
  await page.getByText('Back in the queue').waitFor()

  await letGo()
  await status(page, 'Completed')
  await page.getByRole('group', { name: 'result' }).getByText('the right one').waitFor()
})
