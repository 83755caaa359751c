import type { Browser, Page } from 'playwright-core'

/** It only ends what hangs: what a page asks for first may still have to be compiled. */
const STEP_MS = 120_000

export interface Visit {
  readonly page: Page
  /** What the page's console complained about. */
  readonly problems: readonly string[]
  /** Addresses of the WebSockets that it made, and what came over them. */
  readonly sockets: readonly string[]
  readonly frames: readonly string[]
  close(): Promise<void>
}

/** Opens a page in a browser profile of its own. */
export async function visit(browser: Browser, url: string): Promise<Visit> {
  const context = await browser.newContext({ reducedMotion: 'reduce' })
  context.setDefaultTimeout(STEP_MS)
  const page = await context.newPage()
  const problems: string[] = []
  const sockets: string[] = []
  const frames: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text())
  })
  page.on('websocket', (socket) => {
    sockets.push(socket.url())
    socket.on('framereceived', ({ payload }) => frames.push(String(payload)))
  })
  await page.goto(url)
  return { page, problems, sockets, frames, close: () => context.close() }
}
