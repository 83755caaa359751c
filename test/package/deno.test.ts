import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { freePort } from '../helpers/free-port.ts'
import { until } from '../helpers/until.ts'
import { Example } from './harness/example.ts'
import { visit } from './harness/page.ts'
import { installTool, type Tool } from './harness/tool.ts'

let deno: Tool
let example: Example
let browser: Browser
beforeAll(async () => {
  deno = await installTool('deno')
  example = await Example.install('deno', { env: deno.env })
  browser = await openBrowser()
})
afterAll(async () => {
  await browser?.close()
  await example?.remove()
  await deno?.remove()
})

test('its types hold', async () => {
  await example.run(['deno', 'task', 'check'])
})

test('the server within Deno.serve: a picture comes row by row', async () => {
  const port = String(await freePort())
  const app = await example.start(['deno', 'task', 'start'], { env: { PORT: port }, ready: /http:\S+/ })
  const { page, problems, close } = await visit(browser, `http://localhost:${port}`)
  const percent = async () => Number(await page.locator('progress').getAttribute('value'))
  expect(await until(percent, { what: 'the first rows' })).toBeLessThan(100)
  await page.getByText('completed').waitFor()
  const blanks = await page.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
    const points = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? []
    return points.filter((value, index) => index % 4 === 3 && value !== 255).length
  })
  expect(blanks).toBe(0)
  await page.locator('canvas').click()
  await page.getByText('completed').waitFor({ state: 'hidden' })
  await page.getByText('completed').waitFor()
  expect(problems).toEqual([])
  await close()
  expect(await app.stop()).toBe(0)
})
