import { describe, expect, onTestFinished, test } from 'vitest'
import {
  choose,
  DONE_MS,
  drop,
  pageTests,
  photo,
  pictureWidths,
  recordProgress,
  status,
} from '../helpers/page.ts'
import { dataFolder, startServer } from '../helpers/server.ts'

const { visit } = pageTests()

describe('while the server restarts in mid-job', () => {
  test('the page keeps what it shows and goes on by itself to the right thumbnails', async () => {
    const data = await dataFolder()
    let own = await startServer({ JOBCAST_DATA: data.path })
    onTestFinished(async () => {
      await own.stop()
      await data.remove()
    })
    const page = await visit({ url: own.url, callsMayFail: true })
    await drop(page, 'noise.jpg', await photo(512, 384))
    // Slow to encode, so that there is a middle of the job to be caught: a second and more, also of so small a photo.
    await choose(page, 'Format', 'AVIF')
    await choose(page, 'Widths in pixels', '1024')
    const progress = await recordProgress(page)
    await page.getByRole('button', { name: 'Make thumbnails' }).click()
    await page.waitForURL('**/jobs/*')
    await expect
      .poll(async () => (await progress()).at(-1) ?? 0, { timeout: DONE_MS, interval: 5 })
      .toBeGreaterThan(0)

    await own.kill()
    await page.getByText('Reconnecting. What you see').waitFor()
    await page.getByRole('heading', { name: 'thumbnails' }).waitFor()
    own = await startServer({ JOBCAST_DATA: data.path, PORT: String(own.port) })

    await status(page, 'Completed')
    expect(await pictureWidths(page)).toEqual([64, 128, 256, 512])
    await page.getByText('Reconnecting. What you see').waitFor({ state: 'hidden' })
    await page.getByText('Back in the queue').waitFor()
  })
})
