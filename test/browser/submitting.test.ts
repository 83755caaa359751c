import type { Page } from 'playwright-core'
import { describe, expect, onTestFinished, test } from 'vitest'
import { HELD_JOBS, hold } from '../helpers/line.ts'
import { choose, drop, pageTests, photo, pictureWidths, status, violations } from '../helpers/page.ts'
import { dataFolder, startServer } from '../helpers/server.ts'

const { url, visit, submit } = pageTests()

const TILE = 'data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs='

/** Replaces what is in a number's field by keyboard; the field moves the caret a moment after it was focused. */
async function retype(page: Page, name: string, text: string): Promise<void> {
  const field = page.getByRole('textbox', { name })
  await field.focus()
  const type = async () => {
    await page.keyboard.press('ControlOrMeta+A')
    await page.keyboard.type(text)
    return field.inputValue()
  }
  await expect.poll(type).toBe(`${text} px`)
}

describe('submitting and watching', () => {
  test('a photo that is dropped in becomes thumbnails', async () => {
    const page = await visit()
    await drop(page, 'noise.jpg', await photo(1600, 1200))
    await choose(page, 'Widths in pixels', '64')
    await choose(page, 'Format', 'JPEG')
    await page.getByRole('button', { name: 'Make thumbnails' }).click()
    await page.waitForURL('**/jobs/*')
    expect(await pictureWidths(page)).toEqual([128, 256, 512, 1024])
    await status(page, 'Completed')
    await page.getByText('1024 × 768').waitFor()
    expect(await page.title()).toBe('Completed: thumbnails · Jobcast')

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download thumbnails-128x96.jpg' }).click(),
    ])
    expect(download.suggestedFilename()).toBe('thumbnails-128x96.jpg')
    expect(await violations(page)).toEqual([])
  })

  test('a prompt is painted, by keyboard alone', async () => {
    const page = await visit()
    await page.getByRole('tab', { name: 'Thumbnails' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.getByRole('tab', { name: 'Render', selected: true }).waitFor()
    const prompt = page.getByRole('textbox', { name: 'Prompt' })
    await prompt.waitFor()
    await page.keyboard.press('Tab')
    await expect.poll(() => prompt.evaluate((field) => field === document.activeElement)).toBe(true)
    await page.keyboard.type('a red barn under snow')
    await retype(page, 'Width', '320')
    await retype(page, 'Height', '256')
    await expect.poll(() => prompt.inputValue()).toBe('a red barn under snow')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/jobs/*')

    expect(await pictureWidths(page)).toEqual([320])
    await status(page, 'Completed')
    await page.getByRole('group', { name: 'payload' }).getByText('a red barn under snow').waitFor()
  })

  test('while a picture is painted its tiles show as far as they are, then it shows instead of them', async () => {
    const tile = { y: 0, width: 1, height: 1, dataUrl: TILE }
    const data = await dataFolder()
    const own = await startServer({ JOBCAST_DATA: data.path, ...HELD_JOBS })
    onTestFinished(async () => {
      await own.stop()
      await data.remove()
    })
    const { jobId, letGo } = await hold(own.url, {
      width: 2,
      height: 1,
      progress: 50,
      chunks: [{ x: 0, ...tile }, { x: 1, ...tile }, 'signed'],
      result: { width: 1, height: 1, dataUrl: TILE },
    })
    const page = await visit({ url: `${own.url}/jobs/${jobId}` })
    const canvas = page.locator('canvas[data-tiles="2"]')
    await canvas.waitFor()
    const size = await canvas.evaluate((it) => it instanceof HTMLCanvasElement && [it.width, it.height])
    expect(size).toEqual([2, 1])
    expect(await page.getByRole('progressbar', { name: 'Progress' }).getAttribute('aria-valuenow')).toBe('50')

    await letGo()
    await status(page, 'Completed')
    expect(await pictureWidths(page)).toEqual([1])
    await canvas.waitFor({ state: 'hidden' })
    await page.getByRole('group', { name: 'Pieces of output' }).getByText('signed').waitFor()
  })

  test('a countdown shows steps, log and output; it can be cancelled, retried and deleted', async () => {
    const page = await visit()
    await page.getByRole('tab', { name: 'Countdown' }).click()
    await page.getByLabel('Steps').fill('600')
    await page.getByLabel('Each takes').fill('500')
    await page.getByRole('button', { name: 'Start counting' }).click()
    await page.waitForURL('**/jobs/*')
    await status(page, 'Processing')
    const log = page.getByRole('group', { name: 'Log lines' })
    await log.getByText('step 3', { exact: true }).waitFor()
    await page.getByRole('group', { name: 'Pieces of output' }).getByText('{"step":3}').waitFor()
    await page.getByText(/step \d+ of 600/).waitFor()
    await expect.poll(() => page.title()).toMatch(/^\d+ % countdown/)
    await page.getByRole('status', { name: 'Live over WebSocket' }).waitFor()
    expect(await violations(page)).toEqual([])

    await page.getByRole('button', { name: 'Cancel' }).click()
    await status(page, 'Cancelled')
    await page.getByText('It was cancelled before it could finish.').waitFor()

    await page.getByRole('button', { name: 'Retry' }).click()
    await status(page, 'Processing')
    await page.getByText('Retried by hand').waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await status(page, 'Cancelled')

    await page.getByRole('button', { name: 'Delete' }).click()
    const dialog = page.getByRole('dialog', { name: 'Delete this job?' })
    await dialog.waitFor()
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'Delete' }).click()
    await dialog.getByRole('button', { name: 'Delete' }).click()
    await page.waitForURL(`${url()}/`)
  })

  test('a failed job says what happened and what it means', async () => {
    const page = await visit({ url: `${url()}/` })
    await page.getByRole('tab', { name: 'Countdown' }).click()
    await page.getByLabel('Each takes').fill('10')
    await page.getByLabel('Fail at step').fill('4')
    await page.getByLabel('Fail for good').check()
    await page.getByRole('button', { name: 'Start counting' }).click()
    await status(page, 'Failed')
    const problem = page.getByRole('region', { name: 'Error' })
    await problem.getByText('unrecoverable', { exact: true }).waitFor()
    await problem.getByText('trying again would not help').waitFor()
    expect(await violations(page)).toEqual([])
  })

  test('a job that is tried again says when, and no longer how far it was', async () => {
    const payload = { steps: 10, stepMs: 0, failAtStep: 5 }
    const jobId = await submit('countdown', payload, {
      backoff: { kind: 'fixed', delayMs: 3_600_000, jitter: 0 },
    })
    const page = await visit({ url: `${url()}/jobs/${jobId}` })
    await status(page, 'Scheduled')
    await page.getByText(/^tries again in (59 min|1 h)/).waitFor()
    await page.getByRole('progressbar', { name: 'Progress' }).waitFor()
    expect(await page.getByText('40 %').count()).toBe(0)
  })

  test('what the server refuses is said at its field', async () => {
    const page = await visit({ callsMayFail: true })
    await page.getByRole('button', { name: 'Make thumbnails' }).click()
    await page.getByText('Choose a picture first.').waitFor()
    await page.getByRole('tab', { name: 'Render' }).click()
    await page.getByRole('textbox', { name: 'Width' }).fill('4000')
    await page.getByRole('button', { name: 'Paint it' }).click()
    for (const name of ['Prompt', 'Width']) {
      const field = page.getByRole('textbox', { name })
      await expect.poll(() => field.getAttribute('aria-invalid')).toBe('true')
    }
    expect(await page.getByRole('textbox', { name: 'Height' }).getAttribute('aria-invalid')).not.toBe('true')
    expect(await violations(page)).toEqual([])
  })

  test('what is no longer kept of a long output is said where it was', async () => {
    const jobId = await submit('countdown', { steps: 1200, stepMs: 0, logs: true, chunks: true })
    const page = await visit({ url: `${url()}/jobs/${jobId}` })
    await status(page, 'Completed')
    await page.reload()
    const places = [
      page.getByRole('region', { name: 'Timeline' }),
      page.getByRole('group', { name: 'Log lines' }),
      page.getByRole('group', { name: 'Pieces of output' }),
    ]
    for (const place of places) await place.getByText(/^Events 3 to [\d,.]+ are no longer kept$/).waitFor()
    expect(await violations(page)).toEqual([])
  })

  test('hostile text stays text', async () => {
    const hostile = '<img src=x onerror="document.title=1"><script>alert(1)</script>\u001b[31m'
    const jobId = await submit(
      'render',
      { prompt: hostile, width: 64, height: 64 },
      { tags: [hostile.slice(0, 64)] },
    )
    const page = await visit({ url: `${url()}/jobs/${jobId}` })
    await status(page, 'Completed')
    expect(await page.locator('img[src="x"]').count()).toBe(0)
    expect(await page.getByText('<img src=x').count()).toBeGreaterThan(1)
  })
})
