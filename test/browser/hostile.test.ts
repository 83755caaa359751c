import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { submit, untilTerminal } from '../helpers/api.ts'
import { openBrowser } from '../helpers/browser.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'

const HOSTILE =
  '<img src=x onerror="document.title=1"><script>document.title=2</script>\u001b[31m\u001b]0;3\u0007'

let browser: Browser
let server: ServerProcess
beforeAll(async () => {
  const data = await dataFolder()
  browser = await openBrowser()
  server = await startServer({
    JOBCAST_DATA: data.path,
    JOBCAST_JOBS: new URL('../helpers/own-jobs.mjs', import.meta.url).pathname,
  })
  return async () => {
    await server.stop()
    await data.remove()
  }
})
afterAll(() => browser?.close())

test.each([false, true])('what a handler says stays text, also where it throws it (%s)', async (fails) => {
  const { jobId } = await submit(server.url, { type: 'echo', payload: { text: HOSTILE, fails } })
  await untilTerminal(server.url, jobId)
  const page = await browser.newPage()
  onTestFinished(() => page.close())
  const failures: string[] = []
  page.on('pageerror', (error) => failures.push(String(error)))
  await page.goto(`${server.url}/jobs/${jobId}`)
  await page
    .getByTestId('status')
    .filter({ hasText: fails ? 'Failed' : 'Completed' })
    .waitFor()
  const title = await page.title()
  // In the payload, the log, the output, and the result or the error.
  await expect.poll(() => page.getByText('<img src=x').count()).toBeGreaterThanOrEqual(4)
  expect(await page.locator('img[src="x"]').count()).toBe(0)
  expect(title).not.toMatch(/^[123]$/)
  expect(await page.title()).toBe(title)
  expect(failures).toEqual([])
})
