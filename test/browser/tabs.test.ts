import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import {
  bundleSdk,
  expectWhole,
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
let sdk: Map<string, string>

beforeAll(async () => {
  const data = await dataFolder()
  ;[browser, sdk, server] = await Promise.all([
    openBrowser(),
    bundleSdk(),
    startServer({ JOBCAST_DATA: data.path, ...SAMPLES }),
  ])
  return async () => {
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

async function openTab(context: BrowserContext, jobId: string, options: object = {}): Promise<Page> {
  const page = await openSdkPage(context, server.url, sdk)
  await watchInPage(page, jobId, options)
  await untilLive(page)
  return page
}

/** Connections of each transport that the server has open. */
async function connections(): Promise<Record<string, number>> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  const found = metrics.matchAll(/^jobcast_gateway_connections\{transport="([^"]+)"\} (\d+)$/gm)
  return Object.fromEntries([...found].map(([, transport, count]) => [transport, Number(count)]))
}

test('tabs have one WebSocket between them; one that leads and is closed, or crashes, is done without', async () => {
  const context = await openProfile()
  const jobId = await startLines(server.url)
  const [first, second, third] = [
    await openTab(context, jobId),
    await openTab(context, jobId),
    await openTab(context, jobId),
  ]
  expect(await connections()).toMatchObject({ socket: 1 })
  const onSocket = { transport: 'websocket', connection: { transport: 'websocket', phase: 'open' } }
  for (const page of [first, second, third]) expect(await look(page)).toMatchObject(onSocket)
  await first.close()
  for (const page of [second, third]) await expectWhole(page)
  expect(await connections()).toMatchObject({ socket: 1 })
  const session = await context.newCDPSession(second)
  session.send('Page.crash').catch(() => {})
  await second.waitForEvent('crash')
  await expectWhole(third)
  await until(async () => (await connections()).socket === 1, { what: 'one connection' })
})

test('a tab that leads and is stuck is done without until it is back', async () => {
  const context = await openProfile()
  const jobId = await startLines(server.url)
  const [first, second] = [await openTab(context, jobId), await openTab(context, jobId)]
  const session = await context.newCDPSession(first)
  await session.send('Debugger.enable')
  await session.send('Debugger.pause')
  await until(async () => (await connections()).socket === 2, {
    what: 'another connection',
  })
  await expectWhole(second)
  await session.send('Debugger.resume')
  await until(async () => (await connections()).socket === 1, { what: 'one connection' })
  for (const page of [first, second]) await expectWhole(page)
})

test('tabs with other credentials, or that do not want to, have connections of their own', async () => {
  const context = await openProfile()
  const jobId = await startLines(server.url)
  await openTab(context, jobId)
  await openTab(context, jobId, { credential: 'another' })
  await openTab(context, jobId, { credential: 'another' })
  await openTab(context, jobId, { share: false })
  expect(await connections()).toMatchObject({ socket: 3 })
})
