import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const STEP_MS = 15_000
const DONE_MS = 60_000
const TEST_MS = 120_000

vi.setConfig({ testTimeout: TEST_MS })

let browser: Browser
let server: ServerProcess

beforeAll(async () => {
  const data = await dataFolder()
  browser = await openBrowser()
  server = await startServer({ JOBCAST_DATA: data.path })
  return async () => {
    await server.stop()
    await data.remove()
  }
})

afterAll(async () => {
  await browser?.close()
})

interface Visit extends BrowserContextOptions {
  readonly url?: string
  /** The browser itself reports refused and failed calls in its console; where those are meant, they are no problem. */
  readonly callsMayFail?: boolean
}

/** A page in a browser profile of its own. At the test's end it must have had nothing to complain about. */
async function visit({ url = server.url, callsMayFail = false, ...options }: Visit = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  context.setDefaultTimeout(STEP_MS)
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => {
    const text = message.text()
    const isCall = /^Failed to load resource|^WebSocket connection to/.test(text)
    if (['error', 'warning'].includes(message.type()) && !(isCall && callsMayFail)) problems.push(text)
  })
  page.on('request', (request) => {
    const address = request.url()
    if (!address.startsWith(new URL(url).origin) && !/^(data|blob):/.test(address)) problems.push(address)
  })
  onTestFinished(async () => {
    await context.close()
    expect(problems).toEqual([])
  })
  await page.goto(url)
  return page
}

/** Every value that a progress bar of the page showed, from now on. */
async function recordProgress(page: Page): Promise<() => Promise<number[]>> {
  await page.evaluate(() => {
    const seen: number[] = []
    const note = () => {
      const value = document.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow')
      if (value != null && seen.at(-1) !== Number(value)) seen.push(Number(value))
    }
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true })
    Object.assign(window, { seenProgress: seen })
  })
  return () => page.evaluate(() => Reflect.get(window, 'seenProgress'))
}

async function violations(page: Page): Promise<string[]> {
  // A tooltip stands outside of the page's landmarks for as long as the mouse is where it belongs.
  await page.mouse.move(0, 0)
  await page.getByRole('tooltip').first().waitFor({ state: 'hidden' })
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const { violations: found } = await Reflect.get(window, 'axe').run(document)
    return found.map(({ id, nodes }: { id: string; nodes: { html: string }[] }) => `${id}: ${nodes[0]?.html}`)
  })
}

/** By how many pixels the page is wider than its window; a reserved scrollbar makes it less than none. */
function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

function status(page: Page, name: string): Promise<void> {
  return page.getByTestId('status').filter({ hasText: name }).waitFor({ timeout: DONE_MS })
}

/** Real widths of the pictures in the result, as the browser decoded them. */
async function pictureWidths(page: Page): Promise<number[]> {
  const pictures = page.getByRole('region', { name: 'Result' }).locator('img')
  await pictures.first().waitFor({ timeout: DONE_MS })
  return pictures.evaluateAll((images) =>
    Promise.all(images.map((image) => image instanceof HTMLImageElement && image.decode())).then(() =>
      images.map((image) => (image instanceof HTMLImageElement ? image.naturalWidth : 0)),
    ),
  )
}

/** Noise, so that encoding it takes a while. */
function photo(width: number, height: number): Promise<Buffer> {
  const raw = { width, height, channels: 3 } as const
  return sharp(randomBytes(width * height * 3), { raw })
    .jpeg({ quality: 80 })
    .toBuffer()
}

async function drop(page: Page, name: string, content: Buffer): Promise<void> {
  const transfer = await page.evaluateHandle(
    ({ base64, fileName }) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
      const data = new DataTransfer()
      data.items.add(new File([bytes], fileName, { type: 'image/jpeg' }))
      return data
    },
    { base64: content.toString('base64'), fileName: name },
  )
  await page.getByText('Drop a photo here').dispatchEvent('drop', { dataTransfer: transfer })
  await page.getByRole('img', { name }).waitFor()
}

/** Clicks one of the choices that stand beside each other under a label. */
function choose(page: Page, label: string, choice: string): Promise<void> {
  return page.getByLabel(label).getByText(choice, { exact: true }).click()
}

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

/** Submits past the page; the job's id. */
async function submit(type: string, payload: unknown, options: object = {}): Promise<string> {
  const answer = await fetch(`${server.url}/api/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type, payload, options }),
  })
  expect(answer.status).toBe(202)
  const { jobId } = (await answer.json()) as { jobId: string }
  return jobId
}

describe('submitting and watching', () => {
  test('a photo that is dropped in becomes thumbnails, with live progress', async () => {
    const page = await visit()
    await drop(page, 'noise.jpg', await photo(1600, 1200))
    await choose(page, 'Widths in pixels', '64')
    await choose(page, 'Format', 'JPEG')
    const progress = await recordProgress(page)
    await page.getByRole('button', { name: 'Make thumbnails' }).click()
    await page.waitForURL('**/jobs/*')
    expect(await pictureWidths(page)).toEqual([128, 256, 512, 1024])
    await status(page, 'Completed')
    expect(await progress()).toSatisfy((seen: number[]) => seen.some((value) => value > 0))
    await page.getByText('1024 × 768').waitFor()
    expect(await page.title()).toBe('Completed: thumbnails · Jobcast')

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download thumbnails-128x96.jpg' }).click(),
    ])
    expect(download.suggestedFilename()).toBe('thumbnails-128x96.jpg')
    expect(await violations(page)).toEqual([])
  })

  test('a prompt is painted tile by tile, by keyboard alone', async () => {
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

    const canvas = page.locator('canvas')
    await canvas.waitFor({ timeout: DONE_MS })
    expect(await canvas.evaluate((it) => it instanceof HTMLCanvasElement && [it.width, it.height])).toEqual([
      320, 256,
    ])
    expect(await pictureWidths(page)).toEqual([320])
    await status(page, 'Completed')
    await page.getByRole('group', { name: 'payload' }).getByText('a red barn under snow').waitFor()
  })

  test('a countdown shows steps, log and output; it can be cancelled, retried and deleted', async () => {
    const page = await visit()
    await page.getByRole('tab', { name: 'Countdown' }).click()
    await page.getByLabel('Steps').fill('600')
    await page.getByLabel('Each takes').fill('50')
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
    await page.waitForURL(`${server.url}/`)
  })

  test('a failed job says what happened and what it means', async () => {
    const page = await visit({ url: `${server.url}/` })
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

  test('hostile text stays text', async () => {
    const hostile = '<img src=x onerror="document.title=1"><script>alert(1)</script>\u001b[31m'
    const jobId = await submit(
      'render',
      { prompt: hostile, width: 64, height: 64 },
      { tags: [hostile.slice(0, 64)] },
    )
    const page = await visit({ url: `${server.url}/jobs/${jobId}` })
    await status(page, 'Completed')
    expect(await page.locator('img[src="x"]').count()).toBe(0)
    expect(await page.getByText('<img src=x').count()).toBeGreaterThan(1)
  })
})

describe('while the server restarts in mid-job', () => {
  test('the page keeps what it shows and goes on by itself to the right thumbnails', async () => {
    const data = await dataFolder()
    let own = await startServer({ JOBCAST_DATA: data.path })
    onTestFinished(async () => {
      await own.stop()
      await data.remove()
    })
    const page = await visit({ url: own.url, callsMayFail: true })
    await drop(page, 'noise.jpg', await photo(1024, 768))
    // Slow to encode, so that there is a middle of the job to be caught.
    await choose(page, 'Format', 'AVIF')
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
    expect(await pictureWidths(page)).toEqual([64, 128, 256, 512, 1024])
    await page.getByText('Reconnecting. What you see').waitFor({ state: 'hidden' })
    await page.getByText('Back in the queue').waitFor()
  })
})

describe('the list', () => {
  test('shows new jobs live and is narrowed through its address', async () => {
    const page = await visit({ url: `${server.url}/?type=countdown&status=processing` })
    const jobId = await submit('countdown', { steps: 400, stepMs: 50 })
    const row = page.locator(`a[href="/jobs/${jobId}"]`)
    const progress = await recordProgress(page)
    await row.waitFor()
    await expect.poll(async () => (await progress()).length).toBeGreaterThan(2)
    await page.getByRole('button', { name: /^Processing/, pressed: true }).click()
    await page.waitForURL('**/?type=countdown')
    await page.getByRole('button', { name: /^Failed/ }).click()
    await page.waitForURL('**/?type=countdown&status=failed')
    await row.waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'All', exact: true }).click()
    await row.click()
    await page.waitForURL(`**/jobs/${jobId}`)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await status(page, 'Cancelled')
  })

  test('moves without asking the server again', async () => {
    const page = await visit({ url: `${server.url}/?type=countdown` })
    await page.getByRole('region', { name: 'Jobs' }).waitFor()
    const calls: string[] = []
    page.on('request', (request) => {
      const { pathname, search } = new URL(request.url())
      if (pathname === '/api/jobs') calls.push(search)
    })
    const row = (jobId: string) => page.locator(`a[href="/jobs/${jobId}"]`)
    // From the first one on, the server tells.
    await row(await submit('countdown', { steps: 1, stepMs: 1 })).waitFor()
    calls.length = 0
    const beganAt = performance.now()
    let last = ''
    while (performance.now() - beganAt < 7000) {
      last = await submit('countdown', { steps: 1, stepMs: 1 })
      await row(last).waitFor()
    }
    await row(last).getByText('Completed').waitFor()
    await fetch(`${server.url}/api/jobs/${last}`, { method: 'DELETE' })
    await row(last).waitFor({ state: 'hidden' })
    expect(calls).toEqual([])
  })

  test('a job that does not exist, an address that does not', async () => {
    const page = await visit({ url: `${server.url}/jobs/0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11` })
    await page.getByRole('heading', { name: 'There is no such job' }).waitFor()
    await page.goto(`${server.url}/nowhere`)
    await page.getByRole('button', { name: 'To the jobs' }).click()
    await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor()
  })

  test('says so while the server cannot be reached, and recovers', async () => {
    const page = await visit({ callsMayFail: true })
    let isAway = true
    await page.routeWebSocket('**/ws', (socket) => {
      if (isAway) void socket.close()
      else socket.connectToServer()
    })
    await page.route('**/api/**', (route) => route.abort())
    await page.reload()
    await page.getByRole('heading', { name: 'The server cannot be reached' }).waitFor()
    isAway = false
    await page.unroute('**/api/**')
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('heading', { name: 'The server cannot be reached' }).waitFor({ state: 'hidden' })
  })
})

test('the overview pauses and resumes a type', async () => {
  const page = await visit({ url: `${server.url}/overview` })
  await page.getByText('on the embedded SQLite engine').waitFor()
  const paused = page.getByRole('switch', { name: 'Start jobs of type thumbnails' })
  await paused.click({ force: true })
  await page.getByText('Paused').waitFor()
  await paused.click({ force: true })
  await page.getByText('Paused').waitFor({ state: 'hidden' })
})

describe('looks', () => {
  test('follows the system’s scheme until another is chosen, and remembers the choice', async () => {
    const page = await visit({ colorScheme: 'dark' })
    const scheme = () => page.evaluate(() => document.documentElement.dataset.mantineColorScheme)
    expect(await scheme()).toBe('dark')
    await page.getByRole('button', { name: 'Switch to the light colour scheme' }).click()
    expect(await scheme()).toBe('light')
    await page.reload()
    expect(await scheme()).toBe('light')
  })

  test.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
    ['dark', 390],
  ] as const)('%s at %d px: accessible, and nothing sticks out', async (colorScheme, width) => {
    const jobId = await submit('countdown', { steps: 3, stepMs: 10, logs: true, chunks: true })
    const page = await visit({ colorScheme, viewport: { width, height: 800 }, reducedMotion: 'reduce' })
    for (const [path, shown] of [
      ['/', `a[href="/jobs/${jobId}"]`],
      ['/overview', 'table'],
      [`/jobs/${jobId}`, '[data-testid=status][data-status=completed]'],
    ] as const) {
      await page.goto(server.url + path)
      await page.locator(shown).first().waitFor()
      expect(await violations(page), path).toEqual([])
      expect(await overflow(page), path).toBeLessThanOrEqual(0)
    }
  })
})

test('a server with API keys asks for one, and forgets it on signing out', async () => {
  const data = await dataFolder()
  const own = await startServer({
    JOBCAST_DATA: data.path,
    JOBCAST_API_KEYS: 'me:admin:a-long-enough-secret-key-0',
  })
  onTestFinished(async () => {
    await own.stop()
    await data.remove()
  })
  const page = await visit({ url: own.url, callsMayFail: true })
  const key = page.getByRole('textbox', { name: 'API key' })
  await key.fill('a-wrong-key')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('The server does not know this key').waitFor()
  expect(await violations(page)).toEqual([])
  await key.fill('a-long-enough-secret-key-0')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'No jobs yet' }).waitFor()

  await page.getByRole('tab', { name: 'Countdown' }).click()
  await page.getByLabel('Steps').fill('2')
  await page.getByRole('button', { name: 'Start counting' }).click()
  await status(page, 'Completed')
  expect(await page.content()).not.toContain('a-long-enough-secret-key-0')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'This server wants an API key' }).waitFor()
})
