import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, onTestFinished, vi } from 'vitest'
import { openBrowser } from './browser.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from './server.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const STEP_MS = 40_000
const DONE_MS = 60_000
const TEST_MS = 240_000

interface Visit extends BrowserContextOptions {
  readonly url?: string
  /** The browser itself reports refused and failed calls in its console; where those are meant, they are no problem. */
  readonly callsMayFail?: boolean
}

/** What the tests of a file share: a browser, and a server of their own on the embedded engine. */
export function pageTests(env: Record<string, string> = SAMPLES) {
  vi.setConfig({ testTimeout: TEST_MS })
  let browser: Browser
  let server: ServerProcess

  beforeAll(async () => {
    const data = await dataFolder()
    browser = await openBrowser()
    server = await startServer({ JOBCAST_DATA: data.path, ...env })
    return async () => {
      await server.stop()
      await data.remove()
    }
  })

  afterAll(async () => {
    await browser?.close()
  })

  return {
    url: () => server.url,
    visit: (visit: Visit = {}) => open(browser, { url: server.url, ...visit }),
    submit: (type: string, payload: unknown, options: object = {}) =>
      submit(server.url, type, payload, options),
  }
}

/** A page in a browser profile of its own. At the test's end it must have had nothing to complain about. */
async function open(
  browser: Browser,
  { url, callsMayFail = false, ...options }: Visit & { readonly url: string },
): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    // Painting what moves, sixty times a second, takes processor time from every other test.
    reducedMotion: 'reduce',
    ...options,
  })
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
    // A connection that is just being made when the page is closed is a warning, and no problem of the page's.
    const found = [...problems]
    await context.close()
    expect(found).toEqual([])
  })
  await page.goto(url)
  return page
}

/** Submits past the page; the job's id. */
async function submit(url: string, type: string, payload: unknown, options: object): Promise<string> {
  const answer = await fetch(`${url}/api/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type, payload, options }),
  })
  expect(answer.status).toBe(202)
  const { jobId } = (await answer.json()) as { jobId: string }
  return jobId
}

/** Every value that a progress bar of the page showed, from now on. */
export async function recordProgress(page: Page): Promise<() => Promise<number[]>> {
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

export async function violations(page: Page): Promise<string[]> {
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
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

export function status(page: Page, name: string): Promise<void> {
  return page.getByTestId('status').filter({ hasText: name }).waitFor({ timeout: DONE_MS })
}

/** Real widths of the pictures in the result, as the browser decoded them. */
export async function pictureWidths(page: Page): Promise<number[]> {
  const pictures = page.getByRole('region', { name: 'Result' }).locator('img')
  await pictures.first().waitFor({ timeout: DONE_MS })
  return pictures.evaluateAll((images) =>
    Promise.all(images.map((image) => image instanceof HTMLImageElement && image.decode())).then(() =>
      images.map((image) => (image instanceof HTMLImageElement ? image.naturalWidth : 0)),
    ),
  )
}

/** Noise, so that encoding it takes a while. */
export function photo(width: number, height: number): Promise<Buffer> {
  const raw = { width, height, channels: 3 } as const
  return sharp(randomBytes(width * height * 3), { raw })
    .jpeg({ quality: 80 })
    .toBuffer()
}

export async function drop(page: Page, name: string, content: Buffer): Promise<void> {
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
export function choose(page: Page, label: string, choice: string): Promise<void> {
  return page.getByLabel(label).getByText(choice, { exact: true }).click()
}
