import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { submit, untilTerminal } from '../helpers/api.ts'
import { openBrowser } from '../helpers/browser.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TEST_MS = 60_000
/** Longer than places are apart, so that each of them is seen. */
const RUN_MS = 2000

let browser: Browser
let server: ServerProcess

beforeAll(async () => {
  const data = await dataFolder()
  browser = await openBrowser()
  server = await startServer({ JOBCAST_DATA: data.path, JOBCAST_CONCURRENCY: '1' })
  return async () => {
    await server.stop()
    await data.remove()
  }
})

afterAll(async () => {
  await browser?.close()
})

const countdown = (ms: number) =>
  submit(server.url, { type: 'countdown', payload: { steps: ms / 100, stepMs: 100 } })

async function open(path: string, colorScheme: 'light' | 'dark'): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  await page.goto(server.url + path)
  return page
}

/** Everything that the page said about a line from now on, each thing once. */
async function recordLine(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const seen: string[] = []
    const note = () => {
      for (const found of document.body.innerText.matchAll(
        /(?:Next|\w+) in line|starts in about .*|any moment now/g,
      )) {
        if (!seen.includes(found[0])) seen.push(found[0])
      }
    }
    note()
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true })
    Object.assign(window, { seenLine: seen })
  })
  return () => page.evaluate(() => Reflect.get(window, 'seenLine'))
}

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const { violations: found } = await Reflect.get(window, 'axe').run(document)
    return found.map(({ id, nodes }: { id: string; nodes: { html: string }[] }) => `${id}: ${nodes[0]?.html}`)
  })
}

test('a queued job shows its place and its start, on its page and in the list', {
  timeout: TEST_MS,
}, async () => {
  // So that it is known how long they take.
  await untilTerminal(server.url, (await countdown(RUN_MS)).jobId)
  const jobIds: string[] = []
  for (let job = 0; job < 5; job++) jobIds.push((await countdown(RUN_MS)).jobId)
  const last = jobIds.at(-1) ?? ''

  const page = await open(`/jobs/${last}`, 'light')
  await page.getByText(/in line$/).waitFor()
  const seen = await recordLine(page)
  const list = await open('/', 'dark')
  const row = list.locator(`a[href="/jobs/${last}"]`)
  await row.getByText(/^\d\w\w in line · starts in about \d+ s$/).waitFor()
  expect(await violations(list)).toEqual([])
  expect(await violations(page)).toEqual([])
  await expect.poll(() => page.title()).toMatch(/in line: countdown · Jobcast$/)

  await row.getByText(/^Next in line · /).waitFor({ timeout: TEST_MS })
  await page.getByTestId('status').filter({ hasText: 'Processing' }).waitFor({ timeout: TEST_MS })
  expect(await page.getByText('in line', { exact: false }).filter({ visible: true }).count()).toBe(0)
  const words = await seen()
  expect(words.filter((one) => one.endsWith('in line')).slice(-3)).toEqual([
    '3rd in line',
    '2nd in line',
    'Next in line',
  ])
  expect(words.join(' ')).not.toContain('-')
})
