import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { freePort } from '../helpers/free-port.ts'
import { Example } from './harness/example.ts'
import { startJobcast } from './harness/jobcast.ts'
import { visit } from './harness/page.ts'
import { installTool, type Tool } from './harness/tool.ts'

let bun: Tool
let example: Example
let browser: Browser
beforeAll(async () => {
  bun = await installTool('bun')
  example = await Example.install('bun', { manager: 'bun', env: bun.env })
  browser = await openBrowser()
})
afterAll(async () => {
  await browser?.close()
  await example?.remove()
  await bun?.remove()
})

test('its types hold', async () => {
  await example.run(['bun', 'run', 'check'])
})

test('the server within Bun.serve: a job in a thread is watched over server-sent events', async () => {
  const port = String(await freePort())
  const app = await example.start(['bun', 'main.ts'], { env: { PORT: port }, ready: /http:\S+/ })
  const url = `http://localhost:${port}`
  const { page, problems, sockets, close } = await visit(browser, url)
  await page.getByRole('button', { name: 'Count' }).click()
  await page.getByText('primes so far').waitFor()
  await page.getByText('1,270,607 primes, the largest is 19,999,999').waitFor()
  await page.getByRole('link', { name: 'on their page' }).click()
  await page.getByText('primes').first().waitFor()
  // Bun has one of its own, for its reloads.
  expect(sockets.filter((address) => address.includes('/jobs'))).toEqual([])
  expect(problems).toEqual([])
  await close()
  expect(await app.stop()).toBe(0)
})

test('the command on Bun', async () => {
  const url = await startJobcast(example)
  const submit = [...example.exec, 'jobcast', 'submit', 'primes', 'below=1000', '--watch', '--url', url]
  expect(await example.run(submit)).toContain('{"count":168,"largest":997}')
})
