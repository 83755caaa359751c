import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { bundleSdk, look, openSdkPage, watchInPage } from '../helpers/sdk-page.ts'
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
  await live(page)
  return page
}

function live(page: Page): Promise<boolean> {
  return until(async () => (await look(page)).phase === 'live', { what: 'the watch to be live' })
}

/** A job that goes on for as long as the test needs it, with a line every 50 ms. */
async function startJob(): Promise<string> {
  const call = { method: 'POST', headers: { 'content-type': 'application/json' } }
  const payload = { steps: 1000, stepMs: 50, logs: true }
  const body = JSON.stringify({ type: 'countdown', payload })
  const answer = await fetch(`${server.url}/api/jobs`, { ...call, body })
  expect(answer.status).toBe(202)
  const { jobId } = (await answer.json()) as { jobId: string }
  onTestFinished(async () => void (await fetch(`${server.url}/api/jobs/${jobId}/cancel`, call)))
  return jobId
}

/** Connections of each transport that the server has open. */
async function connections(): Promise<Record<string, number>> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  const found = metrics.matchAll(/^jobcast_gateway_connections\{transport="([^"]+)"\} (\d+)$/gm)
  return Object.fromEntries([...found].map(([, transport, count]) => [transport, Number(count)]))
}

/** That the tab goes on, and all that it saw so far came once and in order: what is odd is progress. */
async function expectWhole(page: Page): Promise<void> {
  const { seqs } = await look(page)
  const more = async () => (await look(page)).seqs.length > seqs.length + 5
  await until(more, { what: 'further events' })
  const seen = (await look(page)).seqs
  expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
  // Submitted, claimed, then a line at every step.
  const missing = seen.filter((seq, index) => index > 0 && seq - (seen[index - 1] ?? 0) > 2)
  expect(missing).toEqual([])
}

test('tabs have one WebSocket between them; when the one that leads is closed, the others go on', async () => {
  const context = await openProfile()
  const jobId = await startJob()
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
  const jobId = await startJob()
  const [first, second] = [await openTab(context, jobId), await openTab(context, jobId)]
  const session = await context.newCDPSession(first)
  await session.send('Page.setWebLifecycleState', { state: 'frozen' })
  await expectWhole(second)
  expect(await connections()).toMatchObject({ socket: 1 })
  await session.send('Page.setWebLifecycleState', { state: 'active' })
  await live(first)
  await expectWhole(first)
  await expectWhole(second)
  expect(await connections()).toMatchObject({ socket: 1 })
})

test('a tab that leads and is stuck is done without, until it is back', async () => {
  const context = await openProfile()
  const jobId = await startJob()
  const [first, second] = [await openTab(context, jobId), await openTab(context, jobId)]
  const session = await context.newCDPSession(first)
  await session.send('Debugger.enable')
  await session.send('Debugger.pause')
  await until(async () => (await connections()).socket === 2, { timeoutMs: 9000, what: 'another connection' })
  await expectWhole(second)
  await session.send('Debugger.resume')
  await until(async () => (await connections()).socket === 1, { what: 'one connection' })
  for (const page of [first, second]) await expectWhole(page)
})

test('a tab that crashes is done without', async () => {
  const context = await openProfile()
  const jobId = await startJob()
  const [first, second] = [await openTab(context, jobId), await openTab(context, jobId)]
  const session = await context.newCDPSession(first)
  session.send('Page.crash').catch(() => {})
  await first.waitForEvent('crash')
  await expectWhole(second)
  await until(async () => (await connections()).socket === 1, { what: 'one connection' })
})

test('tabs with other credentials, or that do not want to, have connections of their own', async () => {
  const context = await openProfile()
  const jobId = await startJob()
  await openTab(context, jobId)
  await openTab(context, jobId, { credential: 'another' })
  await openTab(context, jobId, { credential: 'another' })
  await openTab(context, jobId, { share: false })
  expect(await connections()).toMatchObject({ socket: 3 })
})
