/**
 * The other side of harness/child.mjs: makes a program answer calls, each by its name.
 *
 * @param {Record<string, (...args: any[]) => unknown>} methods
 */
export function serve(methods) {
  process.on('message', async ({ id, method, args }) => {
    try {
      const answer = method === 'ready' ? null : await methods[method](...args)
      process.send?.({ id, answer: answer ?? null })
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  // Whoever asked is gone: nothing is left to be measured.
  process.once('disconnect', () => process.exit())
}
