import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import react from '@vitejs/plugin-react'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { untilJob } from '../helpers/api.ts'
import { openBrowser } from '../helpers/browser.ts'
import { HELD_JOBS, hold } from '../helpers/line.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { serveApp } from '../helpers/user-app.ts'

vi.setConfig({ testTimeout: 240_000 })

/** An app of a user's own: it starts a job when it is asked to, and shows it beside lists of what there is. */
const APP = {
  'index.html': '<div id="root"></div><script type="module" src="/main.jsx"></script>',
  'main.jsx': `
    import { createRoot } from 'react-dom/client'
    import { createClient } from 'jobcast/client'
    import { JobcastProvider } from 'jobcast/react'
    import { StrictMode } from 'react'
    import { App } from './app.jsx'
    import { Eager } from './eager.jsx'
    import { hydrate } from './hydrated.jsx'
    import { Own } from './own.jsx'
    const query = new URLSearchParams(location.search)
    const root = document.getElementById('root')
    if (query.has('job')) hydrate(root, query.get('job'))
    else (window.root = createRoot(root)).render(
      query.has('own') ? <StrictMode><Own /></StrictMode> : query.has('eager') ? (
        <StrictMode><JobcastProvider baseUrl="/"><Eager /></JobcastProvider></StrictMode>
      ) : (
        <JobcastProvider client={createClient()}><App /></JobcastProvider>
      ),
    )`,
  // Its provider makes a client of its own; the page may be hidden, and ask for another client.
  'own.jsx': `
    import * as React from 'react'
    import { JobcastProvider, useClient, useJob } from 'jobcast/react'
    const Hidable = React['Activity'] ?? (({ children }) => children)
    const isOpen = (client) => {
      try {
        client.watch('x').close()
        return true
      } catch {
        return false
      }
    }
    const clients = new Set()
    window.openClients = () => [...clients].map(isOpen)
    export function Own() {
      const [mode, setMode] = React.useState('visible')
      const [transports, setTransports] = React.useState(['websocket'])
      Object.assign(window, { setMode, setTransports })
      return (
        <Hidable mode={mode}>
          <JobcastProvider baseUrl="/" transports={transports}><Inner /></JobcastProvider>
        </Hidable>
      )
    }
    function Inner() {
      const client = useClient()
      const { startJob, status, jobId, transport } = useJob({ type: 'counting' })
      React.useEffect(() => void clients.add(client), [client])
      return (
        <main>
          <button onClick={() => startJob({})}>Start</button>
          <output>{status}</output><b>{jobId}</b><i>{transport}</i>
        </main>
      )
    }`,
  // A server has read the job and rendered the page; what is rendered when, and told how often, is noted.
  'hydrated.jsx': `
    import { hydrateRoot } from 'react-dom/client'
    import { renderToString } from 'react-dom/server'
    import { createClient } from 'jobcast/client'
    import { JobcastProvider, JobProgress, useJob } from 'jobcast/react'
    import { StrictMode } from 'react'
    const noted = (window.noted = { statuses: [], percents: [], bars: [], told: [] })
    function Quiet({ initialJob }) {
      const { status } = useJob({ initialJob })
      noted.statuses.push(status)
      return <output>{status}</output>
    }
    function Loud({ initialJob }) {
      const { progress } = useJob({ initialJob })
      noted.percents.push(progress?.percent ?? 0)
      return <meter value={progress?.percent ?? 0} max={100} />
    }
    function Passing({ initialJob }) {
      const job = useJob({ initialJob })
      noted.bars.push(0)
      return <JobProgress job={job} />
    }
    function Told({ initialJob, onEnd }) {
      useJob({ initialJob, onCompleted: (result, { jobId }) => onEnd(jobId) })
      return null
    }
    export async function hydrate(root, jobId) {
      const client = createClient()
      const initialJob = await client.get(jobId)
      const tree = (
        <>
          <JobcastProvider baseUrl="/">
            <Quiet initialJob={initialJob} />
            <Loud initialJob={initialJob} />
            <Passing initialJob={initialJob} />
          </JobcastProvider>
          <StrictMode>
            <JobcastProvider client={client}>
              <Told initialJob={initialJob} onEnd={(id) => noted.told.push(id)} />
            </JobcastProvider>
          </StrictMode>
        </>
      )
      root.innerHTML = renderToString(tree)
      noted.fromServer = root.innerText
      for (const list of [noted.statuses, noted.percents, noted.bars]) list.length = 0
      hydrateRoot(root, tree)
    }`,
  'eager.jsx': `
    import { useEffect } from 'react'
    import { useJob } from 'jobcast/react'
    export function Eager() {
      const { startJob, jobId, status } = useJob({ type: 'countdown' })
      const later = useJob({ jobId: null })
      useEffect(() => {
        startJob({ steps: 3, stepMs: 1 }, { options: { tags: ['eager'] } }).catch(() => {})
      }, [startJob])
      return <main><output>{status}</output><b>{jobId}</b><i>{later.status}</i></main>
    }`,
  'app.jsx': `
    import { version } from 'react'
    import { useJob, useJobs, useTypes } from 'jobcast/react'
    export function App() {
      const { startJob, jobId, status, progress } = useJob({ type: 'countdown' })
      const { jobs } = useJobs()
      const { data } = useTypes()
      return (
        <main data-react={version} data-listed={jobs.length} data-types={data?.types.length ?? 0}>
          <h1>First look</h1>
          <button onClick={() => startJob({ steps: 10_000, stepMs: 20 })}>Start</button>
          <output>{status}</output>
          <b>{jobId}</b>
          <meter value={progress?.percent ?? 0} max={100} />
        </main>
      )
    }`,
}

let browser: Browser
let server: ServerProcess

beforeAll(async () => {
  const data = await dataFolder()
  ;[browser, server] = await Promise.all([
    openBrowser(),
    startServer({
      JOBCAST_DATA: data.path,
      JOBCAST_JOBS: `${SAMPLES.JOBCAST_JOBS},${HELD_JOBS.JOBCAST_JOBS}`,
    }),
  ])
  return async () => {
    await server.stop()
    await data.remove()
  }
})

afterAll(async () => {
  await browser?.close()
})

/** Its React is the one that can be found from `from`. */
const serve = (from: string) => serveApp({ files: APP, plugins: [react()], server: server.url, from })

async function openApp(url: string): Promise<{ readonly page: Page; readonly problems: string[] }> {
  const page = await browser.newPage()
  onTestFinished(() => page.close())
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
  await page.goto(url)
  return { page, problems }
}

test.each([
  { version: '18', from: 'test/react-18' },
  { version: '19', from: '.' },
])(
  'the hooks work with React $version, and a job that was started goes on when its component is edited',
  async ({ version, from }) => {
    const { url, folder } = await serve(from)
    const { page, problems } = await openApp(url)
    const main = page.locator('main')
    await main.waitFor()
    expect(await main.getAttribute('data-react')).toMatch(new RegExp(`^${version}\\.`))

    await page.getByRole('button').click()
    await page.getByText('processing').waitFor()
    const jobId = await page.locator('b').innerText()
    await page.locator('main:not([data-listed="0"]):not([data-types="0"])').waitFor()

    const file = join(folder, 'app.jsx')
    await writeFile(file, (await readFile(file, 'utf8')).replace('First look', 'Second look'))
    await page.getByText('Second look').waitFor()
    expect(await page.locator('output').innerText()).toBe('processing')
    expect(await page.locator('b').innerText()).toBe(jobId)
    const percent = Number(await page.locator('meter').getAttribute('value'))
    await page.waitForFunction((before) => (document.querySelector('meter')?.value ?? 0) > before, percent)
    await fetch(`${server.url}/api/jobs/${jobId}/cancel`, { method: 'POST' })
    expect(problems).toEqual([])

    const { length } = await eagerJobs()
    await page.goto(`${url}?eager`)
    await page.getByText('completed').waitFor()
    expect(await page.locator('i').innerText()).toBe('idle')
    expect((await eagerJobs()).slice(0, -length || undefined)).toEqual([await page.locator('b').innerText()])
    expect(problems).toEqual([])
  },
)

test.each([
  { version: '18', from: 'test/react-18' },
  { version: '19', from: '.' },
])(
  'React $version goes on from what a server has rendered, and renders only what reads what changed',
  async ({ from }) => {
    const { url } = await serve(from)
    const { jobId, letGo } = await hold(server.url, {}, 'counting')
    await untilJob(server.url, jobId, ({ status }) => status === 'processing', 'to run')
    const { page, problems } = await openApp(`${url}?job=${jobId}`)
    const noted = () => page.evaluate((): Noted => Reflect.get(window, 'noted'))
    const seen = async () => {
      const { percents, bars } = await noted()
      return new Set(percents).size > 5 && bars.length > 5
    }
    await until(seen, { what: 'progress to be told' })
    await letGo()
    await until(async () => (await noted()).told.length > 0, { what: 'the end to be told' })
    const { fromServer, statuses, told } = await noted()
    expect(fromServer).toContain('processing')
    expect(statuses).toEqual(['processing', 'completed'])
    expect(told).toEqual([jobId])
    expect(problems).toEqual([])
  },
)

test.each([
  { version: '18', from: 'test/react-18' },
  { version: '19', from: '.' },
])('a provider in React $version makes a client, and closes it when it is gone', async ({ from }) => {
  const { url } = await serve(from)
  const { page, problems } = await openApp(`${url}?own`)
  await page.getByRole('button').click()
  await page.getByText('processing').waitFor()
  const jobId = await page.locator('b').innerText()
  const open = () => page.evaluate((): boolean[] => Reflect.get(window, 'openClients')())
  expect(await open()).toEqual([true])

  // Another client: the job goes on with it.
  await page.evaluate(() => Reflect.get(window, 'setTransports')(['sse']))
  await page.getByText('sse').waitFor()
  expect(await page.locator('b').innerText()).toBe(jobId)
  await until(async () => (await open()).join() === 'false,true', { what: 'the first client to be closed' })

  await page.evaluate(() => Reflect.get(window, 'setMode')('hidden'))
  await page.evaluate(() => Reflect.get(window, 'setMode')('visible'))
  await page.locator('output:visible', { hasText: 'processing' }).waitFor()
  expect(await page.locator('b').innerText()).toBe(jobId)

  await page.evaluate(() => Reflect.get(window, 'root').unmount())
  await until(async () => !(await open()).includes(true), { what: 'every client to be closed' })
  await fetch(`${server.url}/api/jobs/${jobId}/cancel`, { method: 'POST' })
  expect(problems).toEqual([])
})

interface Noted {
  readonly fromServer: string
  readonly statuses: readonly string[]
  readonly percents: readonly number[]
  readonly bars: readonly unknown[]
  readonly told: readonly string[]
}

/** Those that an effect has started, newest first. */
async function eagerJobs(): Promise<string[]> {
  const answer = await fetch(`${server.url}/api/jobs?tag=eager`)
  const { jobs } = (await answer.json()) as { jobs: { jobId: string }[] }
  return jobs.map(({ jobId }) => jobId)
}
