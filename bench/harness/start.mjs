import { once } from 'node:events'
import { launch, stop, within } from './child.mjs'

const LIMIT_MS = 20_000

/**
 * Starts `node` with these arguments; resolves to the ms until its first line on standard output or, where it has
 * none to say, until its end.
 */
export async function timeToFirstLine(args, env) {
  const started = performance.now()
  const child = launch(args, env, ['ignore', 'pipe', 'inherit'])
  const line = once(child.stdout, 'data').then(() => performance.now())
  const end = once(child, 'exit').then(([code]) => {
    if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${code}`)
    return performance.now()
  })
  const reached = await within(Promise.race([line, end]), LIMIT_MS, `node ${args.join(' ')} said nothing`)
  await stop(child)
  return reached - started
}
