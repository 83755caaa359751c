import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { freePort } from '../helpers/free-port.ts'
import { blockOf } from '../helpers/proxies.ts'
import { until } from '../helpers/until.ts'
import { Example, type Running } from './harness/example.ts'
import { startJobcast } from './harness/jobcast.ts'
import { visit } from './harness/page.ts'

const KEY = 'the-key-of-the-app'
const NEXT = 'node_modules/next/dist/bin/next'

let example: Example
let browser: Browser
let jobcast: string
let app: Running | undefined
beforeAll(async () => {
  example = await Example.install('next')
  jobcast = await startJobcast(example, { JOBCAST_API_KEYS: `app:submit:${KEY}` })
  browser = await openBrowser()
})
afterEach(async () => {
  await app?.stop()
})
afterAll(async () => {
  await browser?.close()
  await example?.remove()
})

/** The app's address. */
async function serve(...args: readonly string[]): Promise<string> {
  const port = String(await freePort())
  const env = { JOBCAST_URL: jobcast, JOBCAST_KEY: KEY }
  app = await example.start(['node', NEXT, ...args, '--port', port], { env, ready: /Ready in/ })
  return `http://localhost:${port}`
}

/** Paints a picture, reloads while it grows, and has all of it. */
async function paint(page: Page): Promise<void> {
  const picture = page.getByRole('img', { name: 'The landscape' })
  const ranges = async () => Number(await picture.getAttribute('data-ranges'))
  expect(await ranges()).toBe(0)
  await page.getByRole('button', { name: 'Paint' }).click()
  await until(async () => (await ranges()) > 1, { what: 'the first hills' })
  expect(await ranges()).toBeLessThan(8)
  await until(() => page.url().includes('?job='), { what: 'the job in the address' })
  await page.reload()
  await until(async () => (await ranges()) === 8, { what: 'the whole picture' })
  await page.getByText('Done').waitFor()
}

/** As articles on it have it, but for the address. */
function submitAndPoll(page: Page): Promise<unknown> {
  return page.evaluate(async () => {
    const api = '/api/jobcast/api/jobs'
    const submitted = await fetch(`${api}/submit`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ payload: { hue: 40, ranges: 2 } }),
    })
    if (submitted.status !== 202) throw new Error(`${submitted.status} ${await submitted.text()}`)
    const { jobId } = await submitted.json()
    for (;;) {
      const job = await (await fetch(`${api}/${jobId}`)).json()
      if (job.status === 'completed') return job.result
      if (job.status === 'failed') throw new Error(job.error)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })
}

test('as it is developed: a job grows on the page, over server-sent events, with a clean console', async () => {
  const page = await visit(browser, await serve('dev'))
  await paint(page.page)
  // The bundler of Next has one of its own.
  expect(page.sockets.filter((url) => url.includes('jobcast'))).toEqual([])
  expect(page.problems).toEqual([])
  await page.close()
})

test.each(['--turbopack', '--webpack'])(
  'built with %s: the same, rendered on the server for who comes later, and for a poller as it stands',
  async (bundler) => {
    await example.run(['node', NEXT, 'build', bundler])
    const url = await serve('start')
    const page = await visit(browser, url)
    await paint(page.page)
    expect(await submitAndPoll(page.page)).toMatchObject({ ranges: [{}, {}] })
    expect(page.sockets).toEqual([])
    expect(page.problems).toEqual([])
    const html = await (await fetch(page.page.url())).text()
    expect(html.match(/<path /g)).toHaveLength(8)
    await page.close()
    expect(await textOf(join(example.folder, '.next', 'static'))).not.toContain(KEY)
  },
)

test('WebSockets pass beside the handler where next.config rewrites them', async () => {
  await writeFile(
    join(example.folder, 'next.config.mjs'),
    `export default {
      rewrites: async () => [{ source: '/api/jobcast/ws', destination: process.env.JOBCAST_URL + '/ws' }],
    }`,
  )
  const route = join(example.folder, 'app/api/jobcast/[...path]/route.ts')
  const text = await readFile(route, 'utf8')
  await writeFile(route, text.replace('createHandler({', 'createHandler({ webSocket: true,'))
  const page = await visit(browser, await serve('dev'))
  await paint(page.page)
  expect(page.sockets.some((url) => url.endsWith('/api/jobcast/ws'))).toBe(true)
  expect(page.frames.some((frame) => frame.includes('"op":"event"'))).toBe(true)
  expect(page.problems).toEqual([])
  await page.close()
})

test('the whole server, its page among it, behind the rewrites of docs/proxies.md', async () => {
  const env = { JOBCAST_BASE_PATH: '/jobcast', JOBCAST_DATA: '.data-below' }
  const { host } = new URL(await startJobcast(example, env))
  const config = blockOf('js next').replace('127.0.0.1:3300', host)
  await writeFile(join(example.folder, 'next.config.mjs'), config)
  const base = `${await serve('dev')}/jobcast`
  const response = await fetch(`${base}/api/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    // It stays as it is, so that there is something to watch.
    body: '{"type":"landscape","payload":{"hue":10,"ranges":1},"options":{"delayMs":600000}}',
  })
  const { jobId } = await response.json()
  expect(response.headers.get('location')).toBe(`/jobcast/api/jobs/${jobId}`)
  for (const path of [`/jobs/${jobId}`, '']) {
    const { page, sockets, problems, close } = await visit(browser, base + path)
    await page.getByRole('status', { name: 'Live over WebSocket' }).waitFor()
    await page.reload()
    await page.getByText('landscape').first().waitFor()
    expect(sockets.every((url) => url.endsWith('/jobcast/ws'))).toBe(true)
    expect(problems).toEqual([])
    await close()
  }
})

test.each(['--turbopack', '--webpack'])(
  'a server within the app itself, which the bundler leaves where it is: %s',
  async (bundler) => {
    await writeFile(join(example.folder, 'next.config.mjs'), 'export default {}')
    await writeFile(
      join(example.folder, 'app/api/jobcast/[...path]/route.ts'),
      `import { createJobServer, type JobServer } from 'jobcast'
    import { createHandler } from 'jobcast/next'
    import { jobs } from '../../../../jobs'

    // Kept over hot reloads, which load this file again.
    const app = globalThis as { jobcast?: JobServer }
    app.jobcast ??= createJobServer({ jobs, store: 'memory' })

    export const { GET, POST, PUT, DELETE } = createHandler({
      server: app.jobcast,
      authorize: () => ({ submit: ['landscape'], watch: 'any' }),
    })`,
    )
    const page = await visit(browser, await serve('dev', bundler))
    expect(await submitAndPoll(page.page)).toMatchObject({ ranges: [{}, {}] })
    await page.page.getByRole('button', { name: 'Paint' }).click()
    await page.page.getByText('Done').waitFor()
    expect(page.problems).toEqual([])
    await page.close()
  },
)

async function textOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const texts = files.map((file) => readFile(join(file.parentPath, file.name), 'latin1'))
  return (await Promise.all(texts)).join('\n')
}
