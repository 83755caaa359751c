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
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

vi.setConfig({ testTimeout: 60_000 })

let browser: Browser
let server: ServerProcess
let sdk: Map<string, string>

beforeAll(async () => {
  const data = await dataFolder()
  ;[browser, sdk, server] = await Promise.all([
    openBrowser(),
    bundleSdk(),
    startServer({ JOBCAST_DATA: data.path }),
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

test('tabs have one WebSocket between them; when the one that leads is closed, the others go on', async () => {
  const context = await openProfile()
  const jobId = await startLines(server.url)
  const [first, second, third] = [
    await openTab(context, jobId),
    await openTab(context, jobId),
    await openTab(context, jobId),
  ]
  expect(await connections()).toMatchObject({ socket: 1 })
  for (const page of [first, second, third]) {
    await expectWhole(page)
    expect(await look(page)).toMatchObject({
      transport: 'websocket',
      connection: { transport: 'websocket', phase: 'open' },
    })
  }
  await first.close()
  for (const page of [second, third]) await expectWhole(page)
  expect(await connections()).toMatchObject({ socket: 1 })
  await second.close()
  await expectWhole(third)
  expect(await connections()).toMatchObject({ socket: 1 })
})

test('a tab that leads and is frozen lets another lead, and goes on by itself when it is back', async () => {
  const context = await openProfile()
  const jobId = await startLines(server.url)
  const [first, second] = [await openTab(context, jobId), await openTab(context, jobId)]
  const session = await context.newCDPSession(first)
  await session.send('Page.setWebLifecycleState', { state: 'frozen' })
  await expectWhole(second)
  expect(await connections()).toMatchObject({ socket: 1 })
  await session.send('Page.setWebLifecycleState', { state: 'active' })
  await untilLive(first)
  await expectWhole(first)
  await expectWhole(second)
  expect(await connections()).toMatchObject({ socket: 1 })
})

test('a tab that leads and is stuck is done without, until it is back', async () => {
  const context = await openProfile()
  const jobId = await startLines(server.url)
  const [first, second] = [await openTab(context, jobId), await openTab(context, jobId)]
  const session = await context.newCDPSession(first)
  await session.send('Debugger.enable')
  await session.send('Debugger.pause')
  await until(async () => (await connections()).socket === 2, {
    timeoutMs: 20_000,
    what: 'another connection',
  })
  await expectWhole(second)
  await session.send('Debugger.resume')
  await until(async () => (await connections()).socket === 1, { what: 'one connection' })
  for (const page of [first, second]) await expectWhole(page)
})

test('a tab that crashes is done without', async () => {
  const context = await openProfile()
  const jobId = await startLines(server.url)
  const [first, second] = [await openTab(context, jobId), await openTab(context, jobId)]
  const session = await context.newCDPSession(first)
  session.send('Page.crash').catch(() => {})
  await first.waitForEvent('crash')
  await expectWhole(second)
  await until(async () => (await connections()).socket === 1, { what: 'one connection' })
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
