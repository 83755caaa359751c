import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHealthApp } from '../../server/http/app.ts'
import { createHttpServer } from '../../server/http/server.ts'
import { createMetrics } from '../../server/metrics.ts'
import { HttpApp, KEYS, problemIn } from '../helpers/http-app.ts'

const APP_JS = 'console.log("the page")\n'.repeat(50)

describe('the page', () => {
  let folder: string
  let app: HttpApp
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'jobcast-page-'))
    await mkdir(join(folder, 'page/assets'), { recursive: true })
    await writeFile(join(folder, 'page/index.html'), '<!doctype html><title>Jobcast</title>')
    await writeFile(join(folder, 'page/favicon.svg'), '<svg/>')
    await writeFile(join(folder, 'page/assets/index-Ab12.js'), APP_JS)
    await writeFile(join(folder, 'secret.txt'), 'secret')
    app = await HttpApp.start({ keys: KEYS, pageFolder: join(folder, 'page') })
  })
  afterAll(async () => {
    await app.stop()
    await rm(folder, { recursive: true })
  })

  test('needs no key and is guarded', async () => {
    const response = await app.fetch('/')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/html/)
    expect(response.headers.get('cache-control')).toBe('no-cache')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('referrer-policy')).toBe('no-referrer')
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).toContain("img-src 'self' data: blob:")
    expect(policy).not.toMatch(/script-src[^;]*unsafe/)
    const again = await app.fetch('/', { headers: { 'if-none-match': response.headers.get('etag') ?? '' } })
    expect(again.status).toBe(304)
  })

  test('has assets that are kept for ever, compressed where that helps', async () => {
    const response = await app.fetch('/assets/index-Ab12.js')
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(response.headers.get('content-type')).toMatch(/javascript/)
    expect(response.headers.get('content-encoding')).toBe('gzip')
    expect(await response.text()).toBe(APP_JS)
    const plain = await app.fetch('/assets/index-Ab12.js', { headers: { 'accept-encoding': 'identity' } })
    expect(plain.headers.get('content-encoding')).toBeNull()
    expect(await plain.text()).toBe(APP_JS)
    const head = await app.fetch('/assets/index-Ab12.js', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test('answers navigations to its own addresses with its index', async () => {
    const navigate = (path: string, accept = 'text/html,application/xhtml+xml,*/*;q=0.8') =>
      app.fetch(path, { headers: { accept } })
    for (const path of [
      '/overview',
      '/jobs/0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11',
      '/types/a.b',
      '/jobs?x=1',
    ]) {
      expect(await (await navigate(path)).text()).toContain('<title>Jobcast')
    }
    for (const path of ['/assets/missing.js', '/api/missing', '/api']) {
      expect((await problemIn(await navigate(path))).code).toBe('not_found')
    }
    expect((await navigate('/overview', '*/*')).status).toBe(404)
    expect((await app.fetch('/overview', { method: 'POST' })).status).toBe(404)
  })

  test.each([
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/..%2Fsecret.txt',
    '/%2e%2e/secret.txt',
    '/%2E%2E%2Fsecret.txt',
    '/..%5Csecret.txt',
    '/assets%5C..%5C..%5Csecret.txt',
    '//secret.txt',
    '/assets//index-Ab12.js',
    '/./index.html',
    '/%00',
    '/assets/..;/secret.txt',
    '/..%252Fsecret.txt',
  ])('%s is 404', async (path) => {
    for (const accept of ['*/*', 'text/html']) {
      const answer = await app.raw(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\nConnection: close\r\n\r\n`,
      )
      expect(answer).toMatch(/^HTTP\/1\.1 404 /)
      expect(answer).not.toContain('secret\n')
    }
  })

  test('a raw backslash is no address', async () => {
    const answer = await app.raw(
      'GET /..\\secret.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 40[04] /)
  })
})

describe('operation', () => {
  let draining: string | null = null
  let app: HttpApp
  beforeAll(async () => {
    app = await HttpApp.start({ readiness: () => draining })
  })
  afterAll(() => app.stop())

  test('a page that is not built says how to build it', async () => {
    const response = await app.fetch('/')
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/)
    expect(await response.text()).toContain('npm run build')
  })

  test('readiness ends while the process drains, liveness does not', async () => {
    expect(await (await app.fetch('/readyz')).json()).toEqual({ status: 'ready', warnings: [] })
    draining = 'the process is draining'
    const response = await app.fetch('/readyz')
    expect(response.headers.get('retry-after')).toBe('1')
    expect(await problemIn(response)).toMatchObject({
      code: 'unavailable',
      detail: 'the process is draining',
    })
    expect((await app.fetch('/healthz')).status).toBe(200)
    expect((await app.fetch('/healthz', { method: 'HEAD' })).status).toBe(200)
    draining = null
  })

  test('readiness tells what does not run in this process, and why nothing does', async () => {
    const warned = await HttpApp.start({ warnings: () => ['nothing of type narrow runs here'] })
    expect(await (await warned.fetch('/readyz')).json()).toEqual({
      status: 'ready',
      warnings: ['nothing of type narrow runs here'],
    })
    await warned.stop()
    app.events.emit('run.overstayed', { jobId: 'x', type: 'slow', attempt: 1, killed: false })
    app.events.emit('worker.stuck', { slots: 1, types: [{ type: 'slow', runs: 1 }] })
    const metrics = async () => (await app.fetch('/metrics')).text()
    expect(await metrics()).toMatch(/worker_hung_runs\{type="slow"\} 1\n[\s\S]*jobcast_worker_stuck 1\n/)
    app.events.emit('run.returned', { jobId: 'x', type: 'slow', attempt: 1, lateMs: 5 })
    app.events.emit('worker.unstuck')
    expect(await metrics()).toMatch(/worker_hung_runs\{type="slow"\} 0\n[\s\S]*jobcast_worker_stuck 0\n/)
  })

  test('metrics count what happens and show the queues', async () => {
    await app.submit()
    await app.submit({ delayMs: 60_000 })
    await app.fetch('/api/jobs/nope')
    app.events.emit('run.claimed', { jobId: 'x', type: 'anything', attempt: 1, waitMs: 12 })
    app.events.emit('gateway.opened', { transport: 'socket' })
    const response = await app.fetch('/metrics')
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    const text = await response.text()
    for (const line of [
      'jobcast_jobs_submitted_total{type="anything"} 2',
      'jobcast_queue_jobs{type="anything",status="queued"} 1',
      'jobcast_queue_jobs{type="anything",status="scheduled"} 1',
      'jobcast_queue_paused{type="anything"} 0',
      'jobcast_job_wait_seconds_sum{type="anything"} 0.012',
      'jobcast_gateway_connections{transport="socket"} 1',
      'jobcast_http_request_duration_seconds_count{method="GET",route="/api/jobs/:id",status="404"} 1',
      'jobcast_store_reachable 1',
      'nodejs_eventloop_lag_seconds',
    ]) {
      expect(text).toContain(line)
    }
  })

  test('a worker serves health and metrics, and nothing else', async () => {
    const metrics = createMetrics({ events: app.events, engine: app.engine })
    const worker = createHttpServer(
      createHealthApp({
        engine: app.engine,
        metrics,
        readiness: () => draining,
        warnings: () => [],
        reach: app.deps.reach,
        auth: app.auth,
        events: app.events,
      }),
    )
    worker.listen(0, '127.0.0.1')
    await once(worker, 'listening')
    const url = `http://127.0.0.1:${(worker.address() as AddressInfo).port}`
    try {
      for (const path of ['/healthz', '/readyz', '/metrics'])
        expect((await fetch(url + path)).status).toBe(200)
      for (const path of ['/', '/api/jobs', '/openapi.json', '/ws']) {
        expect((await problemIn(await fetch(url + path))).code).toBe('not_found')
      }
    } finally {
      worker.closeAllConnections()
      worker.close()
    }
  })
})
