import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Browser, Page } from 'playwright-core'
import { createServer, type ViteDevServer } from 'vite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

/**
 * Pages behind the dev server of Vite, whose proxy changes `Host` and keeps `Origin` where it is set up with nothing but
 * an address, as the rewrites of Next do, which say besides that they forward (`xfwd`).
 */
let data: Awaited<ReturnType<typeof dataFolder>>
let root: string
let server: ServerProcess
let vite: ViteDevServer
let browser: Browser
let page: Page

beforeAll(async () => {
  data = await dataFolder()
  server = await startServer({ JOBCAST_DATA: data.path, ...SAMPLES })
  root = await mkdtemp(join(tmpdir(), 'jobcast-vite-'))
  await writeFile(join(root, 'index.html'), '<!doctype html><title>a page of its own</title>')
  const sockets = server.url.replace('http', 'ws')
  const rewrite = (path: string) => path.replace(/^\/(next|kept|rewritten)/, '')
  vite = await createServer({
    root,
    configFile: false,
    logLevel: 'silent',
    server: {
      port: 0,
      host: '127.0.0.1',
      proxy: {
        '/api': server.url,
        '/ws': sockets,
        '/next': { target: sockets, changeOrigin: true, xfwd: true, rewrite },
        // Node may look for it at `::1` first.
        '/kept': { target: sockets.replace('127.0.0.1', 'localhost'), ws: true, rewrite },
        '/rewritten': { target: sockets, ws: true, changeOrigin: true, rewriteWsOrigin: true, rewrite },
      },
    },
  })
  await vite.listen()
  browser = await openBrowser()
  page = await browser.newPage()
  await page.goto(addressOf(vite))
})

afterAll(async () => {
  await browser?.close()
  await vite?.close()
  await server?.kill()
  await data?.remove()
  if (root) await rm(root, { recursive: true, force: true })
})

function addressOf({ resolvedUrls }: ViteDevServer): string {
  const [address] = resolvedUrls?.local ?? []
  if (address === undefined) throw new Error('the dev server has no address')
  return address.replace(/\/$/, '')
}

/** Submits from the page; the status of the answer. */
const submit = (address: string): Promise<number> =>
  page.evaluate(async (url) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"type":"countdown","payload":{"steps":1,"stepMs":0}}',
    })
    return response.status
  }, `${address}/api/jobs`)

/** Whether a WebSocket of the page opens. */
const connects = (address: string): Promise<boolean> =>
  page.evaluate(
    (url) =>
      new Promise<boolean>((resolve) => {
        const socket = new WebSocket(url)
        socket.onopen = () => resolve(true)
        socket.onclose = () => resolve(false)
      }),
    `${address.replace('http', 'ws')}/ws`,
  )

test('a page submits through the proxies of Vite and of Next', async () => {
  for (const path of ['', '/next', '/kept', '/rewritten'])
    expect([path, await submit(addressOf(vite) + path)]).toEqual([path, 202])
})

test('a WebSocket passes where the proxy leaves Host, or says for whom it forwards; else it is refused', async () => {
  for (const path of ['/next', '/kept', '/rewritten'])
    expect([path, await connects(addressOf(vite) + path)]).toEqual([path, true])
  expect(await connects(addressOf(vite))).toBe(false)
})

test('a page of another port changes nothing, and the log says once what would let it in', async () => {
  const count = async () =>
    ((await (await fetch(`${server.url}/api/jobs`)).json()) as { jobs: [] }).jobs.length
  const before = await count()
  for (let n = 0; n < 3; n++) {
    await page.evaluate(
      (url) => fetch(url, { method: 'POST', mode: 'no-cors' }),
      `${server.url}/api/types/countdown/pause`,
    )
  }
  await expect(submit(server.url)).rejects.toThrow('Failed to fetch')
  expect(await connects(server.url)).toBe(false)
  expect(await count()).toBe(before)
  expect(await (await fetch(`${server.url}/api/types`)).text()).not.toContain('"paused":true')
  const setting = `JOBCAST_ALLOWED_ORIGINS=${addressOf(vite)}`
  await until(() => server.output.stderr.includes(setting), { what: 'the setting in the log' })
  expect(server.output.stderr.split(setting)).toHaveLength(2)
})

test('a container that calls by its name is refused, and the log says what for', async () => {
  const sent = request(`${server.url}/api/jobs`, { headers: { host: 'jobcast:3000' } }).end()
  const [response] = await once(sent, 'response')
  expect(response.statusCode).toBe(403)
  expect(await text(response)).toContain('answers to localhost only: see JOBCAST_API_KEYS')
  await until(() => /"host":"jobcast:3000".*JOBCAST_API_KEYS/.test(server.output.stderr), {
    what: 'the setting in the log',
  })
})
