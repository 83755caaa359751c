import { resolve } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { build, type Plugin, type Rollup } from 'vite'
import { expect, onTestFinished } from 'vitest'
import { until } from './until.ts'

/** The SDK as a page would bundle it, name and text of each file: `sdk.js`, what it loads with it, and what later. */
export function bundleSdk({ whole = false } = {}): Promise<Map<string, string>> {
  return bundle({ input: { sdk: 'client/index.ts' }, preserveEntrySignatures: 'strict', whole })
}

/** An app that exports what it uses of the SDK, by its path in the repository: `app.js`, and what it loads later. */
export function bundleApp(text: string): Promise<Map<string, string>> {
  const app: Plugin = {
    name: 'app',
    resolveId: (id) => (id === 'virtual:app' ? id : id.startsWith('/client/') ? resolve(`.${id}`) : null),
    load: (id) => (id === 'virtual:app' ? text : null),
  }
  // What the app loads later uses the app's own copy.
  return bundle({ input: { app: 'virtual:app' }, preserveEntrySignatures: 'allow-extension', plugins: [app] })
}

async function bundle(options: {
  readonly input: Record<string, string>
  readonly preserveEntrySignatures: 'strict' | 'allow-extension'
  readonly plugins?: Plugin[]
  /** In one file. */
  readonly whole?: boolean
}): Promise<Map<string, string>> {
  const { input, preserveEntrySignatures, plugins = [], whole = false } = options
  const built = await build({
    configFile: false,
    logLevel: 'error',
    plugins,
    ssr: { noExternal: true, external: ['react', 'react/jsx-runtime'] },
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      // As for a server: without what Vite adds to find a page's styles.
      ssr: true,
      rolldownOptions: {
        input,
        preserveEntrySignatures,
        output: { entryFileNames: '[name].js', chunkFileNames: '[name].js', codeSplitting: !whole },
      },
    },
  })
  // One input, and nothing is watched: one output.
  const { output } = built as Rollup.RollupOutput
  return new Map(output.flatMap((file) => (file.type === 'chunk' ? [[file.fileName, file.code]] : [])))
}

/** Opens a page of the server, a bare one, and loads the SDK into it. */
export async function openSdkPage(
  context: BrowserContext,
  url: string,
  files: ReadonlyMap<string, string>,
): Promise<Page> {
  const page = await context.newPage()
  // Of the context: workers load it as well.
  await context.route('**/sdk/*.js', (route) => {
    const name = new URL(route.request().url()).pathname.slice('/sdk/'.length)
    return route.fulfill({ contentType: 'text/javascript', body: files.get(name) ?? '' })
  })
  // The page itself comes from the server: the browser lets no other reach 127.0.0.1.
  await page.goto(`${url}/healthz`)
  await loadSdk(page)
  return page
}

/** Once more, after the page was reloaded. */
export async function loadSdk(page: Page): Promise<void> {
  const content = "import * as sdk from '/sdk/sdk.js'; window.sdk = sdk"
  await page.addScriptTag({ type: 'module', content })
  await page.waitForFunction(() => Reflect.has(window, 'sdk'))
}

export interface Seen {
  /** Seqs of what `onEvent` was called with, merged progress apart, in order. */
  readonly seqs: number[]
  readonly phase: string
  readonly transport: string | null
  readonly status: string | null
  readonly connection: { readonly transport: string | null; readonly phase: string }
}

/** Watches a job with a client of the page's own. */
export async function watchInPage(page: Page, jobId: string, options: object = {}): Promise<void> {
  await page.evaluate(
    ({ jobId, options }) => {
      const sdk: typeof import('../../client/index.ts') = Reflect.get(window, 'sdk')
      const client = sdk.createClient(options)
      const seqs: number[] = []
      const watch = client.watch(jobId, {
        history: true,
        onEvent: ({ kind, seq }) => void (kind !== 'progress' && seqs.push(seq)),
      })
      const look = () => {
        const { phase, transport, job } = watch.getSnapshot()
        return {
          seqs,
          phase,
          transport,
          status: job?.status ?? null,
          connection: client.connection.getSnapshot(),
        }
      }
      Object.assign(window, { look, closeClient: () => client.close() })
    },
    { jobId, options },
  )
}

export function look(page: Page): Promise<Seen> {
  return page.evaluate(() => Reflect.get(window, 'look')())
}

export function untilLive(page: Page): Promise<boolean> {
  return until(async () => (await look(page)).phase === 'live', { what: 'the watch to be live' })
}

export function expectWhole(page: Page): Promise<void> {
  return expectGoingOn(() => look(page))
}

/** That there are further events, and that all came once and in order. Of a `countdown` with lines, half is progress. */
export async function expectGoingOn(read: () => Promise<Pick<Seen, 'seqs'>>): Promise<void> {
  const { seqs } = await read()
  await until(async () => (await read()).seqs.length > seqs.length + 5, { what: 'further events' })
  const seen = (await read()).seqs
  expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
  const gaps = seen.filter((seq, index) => index > 0 && seq - (seen[index - 1] ?? 0) > 2)
  expect(gaps).toEqual([])
}

/** A job that goes on for as long as the test needs it, with a line every 50 ms. */
export async function startLines(url: string): Promise<string> {
  const call = { method: 'POST', headers: { 'content-type': 'application/json' } }
  const payload = { steps: 10_000, stepMs: 50, logs: true }
  const answer = await fetch(`${url}/api/jobs`, {
    ...call,
    body: JSON.stringify({ type: 'countdown', payload }),
  })
  expect(answer.status).toBe(202)
  const { jobId } = (await answer.json()) as { jobId: string }
  onTestFinished(async () => void (await fetch(`${url}/api/jobs/${jobId}/cancel`, call)))
  return jobId
}
