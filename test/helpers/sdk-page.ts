import type { BrowserContext, Page } from 'playwright-core'
import { build, type Rollup } from 'vite'

/** The SDK as a page would bundle it, in as many files as that makes: name and text. */
export async function bundleSdk(): Promise<Map<string, string>> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      rolldownOptions: {
        input: { sdk: 'client/index.ts' },
        preserveEntrySignatures: 'strict',
        output: { entryFileNames: '[name].js', chunkFileNames: '[name].js' },
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
  // The page itself comes from the server: the browser lets no other reach 127.0.0.1.
  await page.goto(`${url}/healthz`)
  await page.route('**/sdk/*.js', (route) => {
    const name = new URL(route.request().url()).pathname.slice('/sdk/'.length)
    return route.fulfill({ contentType: 'text/javascript', body: files.get(name) ?? '' })
  })
  const content = "import * as sdk from '/sdk/sdk.js'; window.sdk = sdk"
  await page.addScriptTag({ type: 'module', content })
  await page.waitForFunction(() => Reflect.has(window, 'sdk'))
  return page
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
