import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { bundleSdk, expectGoingOn, type Seen, startLines } from '../helpers/sdk-page.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { openWindow, type WindowTab } from '../helpers/window-tabs.ts'

let browser: Browser
let server: ServerProcess
let sdk: string

beforeAll(async () => {
  const data = await dataFolder()
  const [opened, files, started] = await Promise.all([
    // Tabs in the background are what only a whole browser has.
    openBrowser({ whole: true }),
    bundleSdk({ whole: true }),
    startServer({ JOBCAST_DATA: data.path, ...SAMPLES }),
  ])
  browser = opened
  server = started
  sdk = files.get('sdk.js') ?? ''
  return async () => {
    await server.stop()
    await data.remove()
  }
})

afterAll(async () => {
  await browser?.close()
})

async function openTabs(count: number, jobId: string): Promise<WindowTab[]> {
  const window = await openWindow(browser)
  onTestFinished(() => window.close())
  const tabs: WindowTab[] = []
  for (let n = 0; n < count; n++) {
    const tab = await window.open(`${server.url}/healthz`)
    await until(() => tab.evaluate(`location.pathname === '/healthz' && document.readyState === 'complete'`))
    await tab.evaluate(watching(jobId))
    await untilLive(tab)
    tabs.push(tab)
  }
  return tabs
}

/** Watches the job, and counts the page's WebSockets; `look()` tells what it saw, and when by the machine's clock. */
function watching(jobId: string): string {
  return `(async () => {
    const { createClient } = await import(URL.createObjectURL(new Blob([${JSON.stringify(sdk)}], { type: 'text/javascript' })))
    let sockets = 0
    const at = { socket: 0, frozen: 0 }
    document.addEventListener('freeze', () => { at.frozen = Date.now() })
    const Real = WebSocket
    window.WebSocket = class extends Real { constructor(url) { super(url); sockets += 1; at.socket = Date.now() } }
    const client = createClient()
    const seqs = []
    const onEvent = ({ kind, seq }) => { if (kind !== 'progress') seqs.push(seq) }
    const watch = client.watch('${jobId}', { history: true, onEvent })
    window.look = () => ({ seqs, sockets, at, phase: watch.getSnapshot().phase })
  })()`
}

type Look = Pick<Seen, 'seqs' | 'phase'> & {
  readonly sockets: number
  readonly at: { readonly socket: number; readonly frozen: number }
}
/** A tab that does not hear of it finds out that nobody leads any more: after 2 s of quiet, and 3 s without an answer. */
const FOUND_OUT_MS = 5000

const look = (tab: WindowTab) => tab.evaluate<Look>('look()')
const untilLive = (tab: WindowTab) =>
  until(async () => (await look(tab)).phase === 'live', { what: 'the watch to be live' })

const expectWhole = (tab: WindowTab) => expectGoingOn(() => look(tab))

test('a tab that leads and is frozen lets another lead, and follows when it is back', async () => {
  const jobId = await startLines(server.url)
  const [first, second] = await openTabs(2, jobId)
  if (first === undefined || second === undefined) throw new Error('two tabs were asked for')
  expect([(await look(first)).sockets, (await look(second)).sockets]).toEqual([1, 0])
  expect(await first.evaluate('document.visibilityState')).toBe('hidden')
  await expectWhole(first)
  await first.freeze()
  await until(async () => (await look(second)).sockets === 1, { what: 'the other tab to lead' })
  const ledAt = (await look(second)).at.socket
  await expectWhole(second)
  await first.thaw()
  await untilLive(first)
  expect(ledAt - (await look(first)).at.frozen).toBeLessThan(FOUND_OUT_MS)
  for (const tab of [first, second]) await expectWhole(tab)
  expect([(await look(first)).sockets, (await look(second)).sockets]).toEqual([1, 1])
})

test('a tab that is shown finds out at once that its connection is dead', async () => {
  const jobId = await startLines(server.url)
  const [first] = await openTabs(2, jobId)
  if (first === undefined) throw new Error('two tabs were asked for')
  expect(await first.evaluate('document.visibilityState')).toBe('hidden')
  server.signal('SIGSTOP')
  onTestFinished(() => server.signal('SIGCONT'))
  await first.show()
  await until(async () => (await look(first)).phase === 'reconnecting', { what: 'the loss to show' })
  server.signal('SIGCONT')
  await untilLive(first)
  await expectWhole(first)
})
