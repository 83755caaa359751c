import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { freePort } from '../helpers/free-port.ts'
import { Example } from './harness/example.ts'
import { startJobcast } from './harness/jobcast.ts'
import { visit } from './harness/page.ts'

let example: Example
let browser: Browser
let jobcast: string
let site: string
beforeAll(async () => {
  example = await Example.install('plain-html')
  jobcast = await startJobcast(example)
  const port = String(await freePort())
  await example.start(['npx', 'sirv', '.', '--dev', '--port', port], { ready: /Local:/ })
  site = `http://localhost:${port}`
  browser = await openBrowser()
})
afterAll(async () => {
  await browser?.close()
  await example?.remove()
})

test.each([
  { page: 'index.html', sockets: 1 },
  { page: 'eventsource.html', sockets: 0 },
])('$page watches a job of another origin', async ({ page: path, sockets: expected }) => {
  const { page, problems, sockets, close } = await visit(browser, `${site}/${path}?jobcast=${jobcast}`)
  await page.getByRole('button', { name: 'Find it' }).click()
  await page.getByText('Whoever, 7 letters').waitFor()
  expect(await page.getByText('notwithstanding,').count()).toBe(0)
  expect(Number(await page.locator('progress').getAttribute('value'))).toBeLessThan(100)
  await page.getByText('notwithstanding, the longest of 12 words').waitFor()
  await page.getByText('notwithstanding, 15 letters').waitFor()
  expect(sockets).toHaveLength(expected)
  expect(problems).toEqual([])
  await close()
})
