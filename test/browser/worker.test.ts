import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { bundleSdk, openSdkPage } from '../helpers/sdk-page.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'

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

afterAll(() => browser?.close())

/** A worker without a WebSocket: it watches eight jobs that go on, and submits and watches a ninth. */
const WORKER = `
  delete self.WebSocket
  self.WebSocket = undefined
  const { createClient } = await import('/sdk/sdk.js')
  const client = createClient({ baseUrl: location.origin })
  const job = (steps) => ({ type: 'countdown', payload: { steps, stepMs: 50 } })
  const { jobs } = await client.submitBatch(Array.from({ length: 8 }, () => job(2000)))
  const watches = jobs.map(({ jobId }) => client.watch(jobId))
  const live = (watch) => new Promise((resolve) => {
    const look = () => watch.getSnapshot().job?.progress && resolve(watch.getSnapshot().transport)
    watch.subscribe(look)
    look()
  })
  const transports = await Promise.all(watches.map(live))
  const { jobId } = await client.submit(job(2))
  const { status } = await client.watch(jobId).finished
  for (const { jobId } of jobs) await client.cancel(jobId)
  const ends = await Promise.all(watches.map((watch) => watch.finished))
  client.close()
  postMessage({ transports, status, ends: ends.map(({ status }) => status) })`

test('a worker without a WebSocket has as few streams as a page, and room for calls beside them', async () => {
  const context = await browser.newContext()
  onTestFinished(() => context.close())
  const page = await openSdkPage(context, server.url, new Map([...sdk, ['worker.js', WORKER]]))
  const seen = await page.evaluate(
    () =>
      new Promise<{ transports: string[]; status: string; ends: string[] }>((resolve, reject) => {
        const worker = new Worker('/sdk/worker.js', { type: 'module' })
        worker.onmessage = ({ data }) => resolve(data)
        worker.onerror = ({ message }) => reject(new Error(message))
        setTimeout(() => reject(new Error('the worker did not answer')), 30_000)
      }),
  )
  expect(seen.transports.filter((transport) => transport === 'sse')).toHaveLength(4)
  expect(seen.transports.filter((transport) => transport === 'polling')).toHaveLength(4)
  expect(seen.status).toBe('completed')
  expect(new Set(seen.ends)).toEqual(new Set(['cancelled']))
})
