import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { createClient } from '../../client/index.ts'
import { startHostileProxy } from '../helpers/hostile-proxy.ts'
import { scriptedBrowser } from '../helpers/scripted-tabs.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

let server: ServerProcess
let data: Awaited<ReturnType<typeof dataFolder>>
beforeAll(async () => {
  data = await dataFolder()
  server = await startServer({ JOBCAST_DATA: data.path, ...SAMPLES })
})
afterAll(async () => {
  await server.stop()
  await data.remove()
})

interface OpenTab {
  readonly page: ReturnType<ReturnType<typeof scriptedBrowser>['openTab']>
  readonly watched: ReturnType<OpenTab['page']['watch']>
}

test('tabs that come, go, crash, hang and are cut off at random all see everything once and in order', async () => {
  const client = createClient({ baseUrl: server.url, WebSocket })
  onTestFinished(() => client.close())
  const payload = { steps: 100, stepMs: 50, logs: true, chunks: true }
  const { jobId } = await client.submit({ type: 'countdown', payload })
  const proxy = await startHostileProxy(() => server.url)
  onTestFinished(() => proxy.close())
  const browser = scriptedBrowser()
  const tabs: OpenTab[] = []
  const left: OpenTab[] = []
  onTestFinished(() => {
    for (const { page } of [...tabs, ...left]) page.tab.close()
  })
  const random = (n: number) => Math.floor(Math.random() * n)
  const story: string[] = []

  const open = () => {
    const page = browser.openTab({ baseUrl: proxy.url, WebSocket })
    tabs.push({ page, watched: page.watch(jobId, { history: true }) })
  }
  const leave = (how: 'closes' | 'crashes') => {
    const [gone] = tabs.splice(random(tabs.length), 1)
    if (gone === undefined) return
    left.push(gone)
    if (how === 'crashes') gone.page.crash()
    gone.page.tab.close()
  }
  const step = () => {
    const action = ['opens', 'closes', 'crashes', 'hangs', 'recovers', 'is cut off'][random(6)] ?? 'opens'
    story.push(action)
    const one = tabs[random(tabs.length)]
    if (action === 'is cut off') proxy.cut()
    else if (action === 'hangs') one?.page.stick()
    else if (action === 'recovers') for (const { page } of tabs) page.unstick()
    else if (tabs.length < 3 || (action === 'opens' && tabs.length < 6)) open()
    else if (action === 'closes' || action === 'crashes') leave(action)
  }

  for (let n = 0; n < 3; n++) open()
  const chaos = setInterval(step, 100)
  onTestFinished(() => clearInterval(chaos))
  const completed = async () => (await client.get(jobId)).status === 'completed'
  await until(completed, { intervalMs: 200, what: 'the job to complete' })
  clearInterval(chaos)
  for (const { page } of tabs) page.unstick()
  await Promise.all(tabs.map(({ watched }) => watched.watch.finished))

  const retained: number[] = []
  for await (const { kind, seq } of client.watch(jobId, { history: true })) {
    if (kind !== 'progress') retained.push(seq)
  }
  expect(retained.length).toBeGreaterThan(200)
  for (const { watched } of tabs) expect(watched.lasting, story.join()).toEqual(retained)
  // Whoever left had everything up to then.
  for (const { watched } of left) {
    expect(watched.lasting, story.join()).toEqual(retained.slice(0, watched.lasting.length))
  }
})
