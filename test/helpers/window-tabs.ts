import type { Browser, CDPSession } from 'playwright-core'

/** A tab of a window in which only one is visible. */
export interface WindowTab {
  /** Evaluates an expression, awaits it, and gives its value. */
  evaluate<T>(expression: string): Promise<T>
  /** Brings it to the front, which hides the others. */
  show(): Promise<void>
  /** As the browser does with tabs in the background; it has to be hidden. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

interface Reply {
  readonly id?: number
  readonly error?: unknown
  readonly result?: { readonly result?: { readonly value?: unknown }; readonly exceptionDetails?: unknown }
}

/**
 * Opens tabs beside each other, in a profile of their own, over the DevTools protocol alone: Playwright makes
 * all of its pages believe that they are visible, and what is visible cannot be frozen.
 */
export async function openWindow(
  browser: Browser,
): Promise<{ open(url: string): Promise<WindowTab>; close(): Promise<void> }> {
  const session = await browser.newBrowserCDPSession()
  const { browserContextId } = await session.send('Target.createBrowserContext')
  let newWindow = true
  return {
    async open(url) {
      const { targetId } = await session.send('Target.createTarget', { url, browserContextId, newWindow })
      newWindow = false
      const send = await attach(session, targetId)
      return {
        async evaluate<T>(expression: string) {
          const { result } = await send('Runtime.evaluate', {
            expression,
            awaitPromise: true,
            returnByValue: true,
          })
          if (result?.exceptionDetails !== undefined) throw new Error(JSON.stringify(result.exceptionDetails))
          // Whoever asks knows what the expression gives.
          return result?.result?.value as T
        },
        show: async () => void (await session.send('Target.activateTarget', { targetId })),
        freeze: async () => void (await send('Page.setWebLifecycleState', { state: 'frozen' })),
        thaw: async () => void (await send('Page.setWebLifecycleState', { state: 'active' })),
      }
    },
    async close() {
      await session.send('Target.disposeBrowserContext', { browserContextId })
      await session.detach()
    },
  }
}

/** Commands to one target, wrapped in messages: Playwright keeps the sessions that are not its own from its users. */
async function attach(
  session: CDPSession,
  targetId: string,
): Promise<(method: string, params: object) => Promise<Reply>> {
  const waiting = new Map<number, (reply: Reply) => void>()
  const { sessionId } = await session.send('Target.attachToTarget', { targetId, flatten: false })
  session.on('Target.receivedMessageFromTarget', (event) => {
    if (event.sessionId !== sessionId) return
    const reply: Reply = JSON.parse(event.message)
    if (reply.id !== undefined) waiting.get(reply.id)?.(reply)
  })
  let id = 0
  return async (method, params) => {
    id += 1
    const message = JSON.stringify({ id, method, params })
    const answered = new Promise<Reply>((resolve) => waiting.set(id, resolve))
    await session.send('Target.sendMessageToTarget', { sessionId, message })
    const reply = await answered
    if (reply.error !== undefined) throw new Error(`${method}: ${JSON.stringify(reply.error)}`)
    return reply
  }
}
