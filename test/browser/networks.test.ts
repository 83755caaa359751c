import type { Browser, BrowserContext } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { type HostileProxy, startHostileProxy } from '../helpers/hostile-proxy.ts'
import {
  bundleSdk,
  expectWhole,
  loadSdk,
  look,
  openSdkPage,
  startLines,
  untilLive,
  watchInPage,
} from '../helpers/sdk-page.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

vi.setConfig({ testTimeout: 240_000 })

let browser: Browser
let server: ServerProcess
let proxy: HostileProxy
let sdk: Map<string, string>

beforeAll(async () => {
  const data = await dataFolder()
  proxy = await startHostileProxy(() => server.url)
  ;[browser, sdk, server] = await Promise.all([
    openBrowser(),
    bundleSdk(),
    startServer({ JOBCAST_DATA: data.path, JOBCAST_ALLOWED_ORIGINS: proxy.url, ...SAMPLES }),
  ])
  return async () => {
    await proxy.close()
    await server.stop()
    await data.remove()
  }
})

afterAll(async () => {
  await browser?.close()
})

async function openProfile(): Promise<BrowserContext> {
  const context = await browser.newContext()
  onTestFinished(() => context.close())
  return context
}

test('a WebSocket that is blocked: SSE, remembered when the page is reloaded, and WebSocket again once it works', async () => {
  proxy.treat.socket = 'refuse'
  const context = await openProfile()
  const jobId = await startLines(server.url)
  const page = await openSdkPage(context, proxy.url, sdk)
  await watchInPage(page, jobId)
  const transport = async () => (await look(page)).transport
  await until(async () => (await transport()) === 'sse', { what: 'SSE' })
  await expectWhole(page)

  const { socket } = proxy.seen
  await page.reload()
  await loadSdk(page)
  await watchInPage(page, jobId)
  await untilLive(page)
  expect(await transport()).toBe('sse')
  expect(proxy.seen.socket).toBe(socket)

  proxy.treat.socket = 'pass'
  await context.setOffline(true)
  await context.setOffline(false)
  await until(async () => (await transport()) === 'websocket', { what: 'WebSocket' })
  await expectWhole(page)
})

test('a browser that goes offline and comes online again', async () => {
  const context = await openProfile()
  const jobId = await startLines(server.url)
  const page = await openSdkPage(context, proxy.url, sdk)
  await watchInPage(page, jobId)
  await untilLive(page)
  // The network fails first: what a browser that is offline still has of a connection does not end, it only falls silent.
  proxy.treatAll('refuse')
  proxy.cut()
  await until(async () => (await look(page)).phase === 'reconnecting', { what: 'the loss to show' })
  await context.setOffline(true)
  proxy.treatAll('pass')
  await context.setOffline(false)
  await untilLive(page)
  await expectWhole(page)
  await until(async () => (await look(page)).transport === 'websocket', { what: 'WebSocket' })
})
