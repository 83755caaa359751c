import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type IncomingHttpHeaders, request } from 'node:http'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { SubmitAnswer } from '../../shared/api.ts'
import { openBrowser } from '../helpers/browser.ts'
import {
  blockOf,
  type Place,
  PREFIXES,
  PROXIES,
  type ProxyName,
  runProxy,
  startProxy,
} from '../helpers/proxies.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { StreamReader } from '../helpers/stream-reader.ts'
import type { Tool } from '../helpers/tool.ts'
import { until } from '../helpers/until.ts'

/**
 * Every configuration of `docs/proxies.md`, in the proxy that it is for, before a server that asks for keys as one that has a
 * name must.
 */
const KEY = 'a-key-of-this-test'
const CREDENTIAL = { authorization: `Bearer ${KEY}` }
const JSON_TYPE = { 'content-type': 'application/json' }
/** Goes on for as long as a test may take. */
const LIVELY = { type: 'countdown', payload: { steps: 10_000, stepMs: 50 } }

let data: Awaited<ReturnType<typeof dataFolder>>
let server: ServerProcess
let browser: Browser

beforeAll(async () => {
  data = await dataFolder()
  const started = [
    startServer({ JOBCAST_DATA: data.path, JOBCAST_API_KEYS: `tester:admin:${KEY}`, ...SAMPLES }),
    openBrowser(),
  ] as const
  ;[server, browser] = await Promise.all(started)
})

afterAll(async () => {
  await browser?.close()
  await server?.kill()
  await data?.remove()
})

async function origin(starting: Promise<Tool>): Promise<string> {
  const tool = await starting
  onTestFinished(() => tool.stop())
  return `http://127.0.0.1:${tool.ports[0]}`
}

async function submit(
  base: string,
  body: object = LIVELY,
): Promise<SubmitAnswer & { location: string | null }> {
  const headers = { ...CREDENTIAL, ...JSON_TYPE }
  const response = await fetch(`${base}/api/jobs`, { method: 'POST', headers, body: JSON.stringify(body) })
  expect(response.status).toBe(202)
  return { ...SubmitAnswer.parse(await response.json()), location: response.headers.get('location') }
}

const cancel = (base: string, jobId: string) =>
  fetch(`${base}/api/jobs/${jobId}/cancel`, { method: 'POST', headers: CREDENTIAL })

/** Status of a submission as a browser sends it from a page of some origin, to a name that is not this machine's. */
async function statusFor(address: string, headers: IncomingHttpHeaders): Promise<number> {
  const sent = request(`${address}/api/jobs`, {
    method: 'POST',
    headers: { ...CREDENTIAL, ...JSON_TYPE, ...headers },
  })
  sent.end('{"type":"countdown","payload":{"steps":1,"stepMs":0}}')
  const [response] = await once(sent, 'response')
  response.resume()
  return response.statusCode
}

/** How soon after it was stored the quickest of some events arrived, in ms; the job still runs then. */
async function lagOfEvents(base: string, jobId: string): Promise<number> {
  const response = await fetch(`${base}/api/jobs/${jobId}/events`, {
    headers: { ...CREDENTIAL, accept: 'text/event-stream' },
  })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  if (response.body === null) throw new Error('the stream has no body')
  const stream = new StreamReader(response.body)
  const lags: number[] = []
  for (let count = 1; count <= 5; count++) {
    const { data: event } = await stream.next('progress', count)
    lags.push(Date.now() - Date.parse(String(Reflect.get(Object(event), 'at'))))
  }
  await stream.cancel()
  return Math.min(...lags)
}

/** What a WebSocket that watches the job is told first. */
async function firstFrames(address: string): Promise<string[]> {
  const socket = new WebSocket(address, { headers: CREDENTIAL })
  const ops: string[] = []
  socket.on('message', (frame) => ops.push(JSON.parse(String(frame)).op))
  await until(() => ops.length >= 3, { what: 'three frames' })
  socket.terminate()
  return ops.slice(0, 2)
}

async function longPoll(base: string, jobId: string, cursor: string): Promise<unknown> {
  const query = new URLSearchParams({ after: cursor, wait: '20' })
  const response = await fetch(`${base}/api/jobs/${jobId}?${query}`, { headers: CREDENTIAL })
  return response.json()
}

/** The page at a deep link, loaded anew, and by its own links from there. */
async function tryPage(address: string, prefix: string): Promise<void> {
  const base = address + prefix
  const { jobId } = await submit(base)
  const context = await browser.newContext({
    reducedMotion: 'reduce',
    viewport: { width: 1200, height: 900 },
  })
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text())
  })
  page.on('request', (one) => {
    if (!/^(data|blob):/.test(one.url()) && !one.url().startsWith(`${base}/`)) problems.push(one.url())
  })
  await context.addInitScript((key) => sessionStorage.setItem('jobcast.api-key', key), KEY)
  const live = page.getByRole('status', { name: 'Live over WebSocket' })
  const running = page.getByTestId('status').filter({ hasText: 'Processing' })
  await page.goto(`${base}/jobs/${jobId}`)
  await Promise.all([running.waitFor(), live.waitFor()])
  await page.getByText(`${base}/api/jobs/${jobId}`).waitFor()
  await page.reload()
  await running.waitFor()
  await page.getByRole('link', { name: 'Jobcast, to the jobs' }).click()
  await page.waitForURL(`${base}/`)
  await page.reload()
  await page.locator(`a[href$="/jobs/${jobId}"]`).click()
  await running.waitFor()
  expect(page.url()).toBe(`${base}/jobs/${jobId}`)
  expect(problems).toEqual([])
  await context.close()
  await cancel(base, jobId)
}

async function tryAll(address: string, prefix: string): Promise<void> {
  const base = address + prefix
  const { jobId, links, location, cursor } = await submit(base)
  expect(location).toBe(`${prefix}/api/jobs/${jobId}`)
  expect(links).toEqual({
    self: `${prefix}/api/jobs/${jobId}`,
    events: `${prefix}/api/jobs/${jobId}/events`,
    cancel: `${prefix}/api/jobs/${jobId}/cancel`,
    socket: `${prefix}/ws?job=${jobId}`,
  })
  expect((await fetch(address + links.self, { headers: CREDENTIAL })).status).toBe(200)
  expect(await firstFrames(address.replace('http', 'ws') + links.socket)).toEqual(['hello', 'subscribed'])
  expect(await lagOfEvents(base, jobId)).toBeLessThan(1000)
  expect(await longPoll(base, jobId, cursor)).toMatchObject({ status: 'processing', mode: 'resume' })
  await cancel(base, jobId)
}

/** As a name for which some other proxy ends TLS. */
async function tryNames(base: string): Promise<void> {
  const host = 'jobs.example.com'
  expect(await statusFor(base, { host, origin: `https://${host}` })).toBe(202)
  expect(await statusFor(base, { host, origin: 'https://evil.example' })).toBe(403)
}

describe.each(PROXIES)('behind %s', (name: ProxyName) => {
  test.each<Place>(['root', 'path'])('at the %s', async (place) => {
    const address = await origin(startProxy(name, place, server.url))
    const prefix = PREFIXES[name][place]
    await tryAll(address, prefix)
    if (name !== 'vite') await tryNames(address + prefix)
    const image = 'A'.repeat(1_500_000)
    const large = { type: 'thumbnails', payload: { image, widths: [16], format: 'webp' } }
    await submit(address + prefix, large)
    // There it is tried below, and the app of Vite has a page of its own.
    if (place === 'root') return
    await tryPage(address, prefix)
    const description = await (await fetch(`${address}${prefix}/openapi.json`)).json()
    expect(description).toMatchObject({ servers: [{ url: prefix }] })
  })
})

test('behind nginx, set up as in deploy/', async () => {
  const text = await readFile(new URL('../../deploy/nginx.conf', import.meta.url), 'utf8')
  const address = await origin(runProxy('nginx', text, server.url))
  await tryAll(address, '')
  await tryNames(address)
})

test('without a proxy', async () => {
  await tryAll(server.url, '')
  await tryPage(server.url, '')
  const description = await (await fetch(`${server.url}/openapi.json`)).json()
  expect(description).toMatchObject({ servers: [{ url: '/' }] })
})

test('with a base path of its own', async () => {
  const own = await dataFolder()
  const env = {
    JOBCAST_DATA: own.path,
    JOBCAST_API_KEYS: `tester:admin:${KEY}`,
    JOBCAST_BASE_PATH: '/tools/jobs',
  }
  const based = await startServer({ ...env, ...SAMPLES })
  onTestFinished(async () => {
    await based.kill()
    await own.remove()
  })
  expect(based.output.stdout).toContain(`jobcast listening on ${based.url}/tools/jobs\n`)
  await tryAll(based.url, '/tools/jobs')
  await tryPage(based.url, '/tools/jobs')
  const assets = await (await fetch(`${based.url}/tools/jobs`)).text()
  expect(assets).toContain('src="/tools/jobs/assets/')
  for (const path of ['/', '/api/jobs', '/healthz', '/tools', '/tools/jobsx', '/tools/jobs/../healthz']) {
    expect([path, (await fetch(based.url + path, { headers: CREDENTIAL })).status]).toEqual([path, 404])
  }
  expect((await fetch(`${based.url}/tools/jobs/healthz`)).status).toBe(200)
})

test('a proxy that takes a path off without a word leaves the page as it is', async () => {
  const silent = blockOf('nginx path').replace(/.*X-Forwarded-Prefix.*\n/, '')
  const address = await origin(runProxy('nginx', silent, server.url))
  await tryPage(address, '/jobs')
})
