import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { HELD_JOBS, queueUp, runOne } from '../helpers/line.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** What the jobs of the line are expected to take. */
const RUN_MS = 3000

let browser: Browser
let server: ServerProcess

beforeAll(async () => {
  const data = await dataFolder()
  browser = await openBrowser()
  server = await startServer({ JOBCAST_DATA: data.path, ...HELD_JOBS })
  return async () => {
    await server.stop()
    await data.remove()
  }
})

afterAll(async () => {
  await browser?.close()
})

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

test('a queued job shows its place and its start, on its page and in the list', async () => {
  await runOne(server.url, RUN_MS)
  const line = await queueUp(server.url, 4)
  onTestFinished(() => line.close())
  const last = line.jobIds.at(-1) ?? ''

  const page = await open(`/jobs/${last}`, 'light')
  await page.getByText('3rd in line').waitFor()
  await page.getByText(/^starts in about \d+ s$/).waitFor()
  const seen = await recordLine(page)
  const list = await open('/', 'dark')
  const row = list.locator(`a[href="/jobs/${last}"]`)
  await row.getByText(/^3rd in line · starts in about \d+ s$/).waitFor()
  expect(await violations(list)).toEqual([])
  expect(await violations(page)).toEqual([])
  expect(await page.title()).toBe('3rd in line: held · Jobcast')

  for (const place of ['2nd in line', 'Next in line']) {
    await line.next()
    await page.getByText(place).waitFor()
    await row.getByText(place).waitFor()
  }
  await line.next()
  await page.getByTestId('status').filter({ hasText: 'Processing' }).waitFor()
  expect(await page.getByText(/ in line$/).count()).toBe(0)
  expect((await seen()).filter((words) => words.endsWith('in line'))).toEqual([
    '3rd in line',
    '2nd in line',
    'Next in line',
  ])
  expect((await seen()).join(' ')).not.toContain('-')
  await line.next()
  await page.getByTestId('status').filter({ hasText: 'Completed' }).waitFor()
})
