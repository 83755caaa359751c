import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BatchAnswer, SubmitAnswer } from '../../shared/api.ts'
import { HttpApp, type HttpAppOptions, problemIn } from '../helpers/http-app.ts'

const JOB = { type: 'anything', payload: 1 }
const TOLD = { 'x-forwarded-prefix': '/tools/' }
const INDEX =
  '<!doctype html><title>Jobcast</title><script type="module" src="./assets/index-Ab12.js"></script>'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobcast-reach-'))
  await writeFile(join(folder, 'index.html'), INDEX)
  await writeFile(join(folder, 'favicon.svg'), '<svg/>')
})
afterAll(() => rm(folder, { recursive: true }))

let app: HttpApp
afterEach(() => app.stop())
const start = async (options: HttpAppOptions = {}) => {
  app = await HttpApp.start({ pageFolder: folder, ...options })
}

async function addressesFor(base: string, headers: Record<string, string> = {}) {
  const post = (path: string, body: object) =>
    fetch(`${app.url}${base}${path}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const one = await post('/api/jobs', JOB)
  expect(one.status).toBe(202)
  const batch = BatchAnswer.parse(await (await post('/api/jobs/batch', { jobs: [JOB] })).json())
  const described = await (await fetch(`${app.url}${base}/openapi.json`, { headers })).json()
  const { links, jobId } = SubmitAnswer.parse(await one.json())
  const [inBatch] = batch.jobs
  return {
    location: one.headers.get('location')?.replace(jobId, 'ID'),
    socket: links.socket.replace(jobId, 'ID'),
    inBatch: inBatch?.links.self.replace(inBatch.jobId, 'ID'),
    servers: described.servers,
  }
}

const below = (prefix: string) => ({
  location: `${prefix}/api/jobs/ID`,
  socket: `${prefix}/ws?job=ID`,
  inBatch: `${prefix}/api/jobs/ID`,
  servers: [{ url: prefix || '/' }],
})

/** Where the page at this path says that its script is. */
async function scriptOf(path: string, headers: Record<string, string> = {}): Promise<string | undefined> {
  const response = await fetch(app.url + path, { headers: { ...headers, accept: 'text/html' } })
  return /src="(.*?)assets\//.exec(await response.text())?.[1]
}

describe('addresses', () => {
  test('begin with what a trusted proxy has taken off, and with nothing that anybody else says', async () => {
    await start()
    expect(await addressesFor('')).toEqual(below(''))
    expect(await addressesFor('', TOLD)).toEqual(below('/tools'))
    expect(await addressesFor('', { 'x-forwarded-prefix': '/a, /b' })).toEqual(below('/a/b'))
    for (const forged of ['//evil.example', 'https://evil.example', '/"><script>', '/a/../..', '/a\\b'])
      expect(await addressesFor('', { 'x-forwarded-prefix': forged })).toEqual(below(''))
    await app.stop()
    await start({ trustProxy: ['10.0.0.0/8'] })
    expect(await addressesFor('', TOLD)).toEqual(below(''))
    expect(await scriptOf('/overview', TOLD)).toBe('./')
  })

  test('begin with the base path, below which everything is', async () => {
    await start({ basePath: '/jobs' })
    expect(await addressesFor('/jobs')).toEqual(below('/jobs'))
    expect(await addressesFor('/jobs', TOLD)).toEqual(below('/tools/jobs'))
    expect((await fetch(`${app.url}/jobs/healthz`)).status).toBe(200)
    for (const path of ['/', '/healthz', '/api/jobs', '/jobsx', '/favicon.svg']) {
      const problem = await problemIn(await fetch(app.url + path, { headers: { accept: 'text/html' } }))
      expect(problem).toMatchObject({ status: 404, detail: 'what there is here begins with /jobs/' })
    }
    expect((await fetch(`${app.url}/jobs/api/jobs`, { method: 'PATCH' })).status).toBe(405)
  })
})

describe('the page loads what it needs', () => {
  test('from as far up as its address is deep, where nobody says what is before that', async () => {
    await start()
    expect(await scriptOf('/')).toBe('./')
    expect(await scriptOf('/?type=a/b')).toBe('./')
    expect(await scriptOf('/index.html')).toBe('./')
    expect(await scriptOf('/overview')).toBe('./')
    expect(await scriptOf('/jobs/')).toBe('../')
    expect(await scriptOf('/jobs/0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11?x=/y')).toBe('../')
    expect(await scriptOf('/a/b/c')).toBe('../../')
  })

  test('from below the path by which it is reached, where that is known', async () => {
    await start({ basePath: '/jobs' })
    for (const path of ['/jobs', '/jobs/', '/jobs/jobs/x', '/jobs?x']) {
      expect([path, await scriptOf(path)]).toEqual([path, '/jobs/'])
      expect([path, await scriptOf(path, TOLD)]).toEqual([path, '/tools/jobs/'])
    }
  })

  test('and each of these is another page to a cache', async () => {
    await start()
    const tag = async (path: string, headers: Record<string, string> = {}, known = '') => {
      const response = await fetch(app.url + path, {
        headers: { accept: 'text/html', ...headers, ...(known && { 'if-none-match': known }) },
      })
      expect(response.headers.get('cache-control')).toBe('no-cache')
      return response.status === 304 ? 304 : (response.headers.get('etag') ?? '')
    }
    const tags = [await tag('/'), await tag('/jobs/x'), await tag('/', TOLD)]
    expect(new Set(tags).size).toBe(3)
    expect(await tag('/overview')).toBe(tags[0])
    expect(await tag('/', {}, String(tags[2]))).toBe(tags[0])
    expect(await tag('/', TOLD, String(tags[2]))).toBe(304)
  })

  test('a file of it is a file, however it is asked for', async () => {
    await start()
    const response = await fetch(`${app.url}/favicon.svg`, { headers: { accept: 'text/html' } })
    expect(await response.text()).toBe('<svg/>')
  })
})
