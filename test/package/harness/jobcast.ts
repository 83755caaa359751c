import { freePort } from '../../helpers/free-port.ts'
import type { Example } from './example.ts'

/** Starts `jobcast dev` with the jobs file of an example, or those named; resolves to its address. Ends with the example. */
export async function startJobcast(
  example: Example,
  env: Readonly<Record<string, string>> = {},
  ...files: readonly string[]
): Promise<string> {
  const port = String(await freePort())
  const { match } = await example.start([...example.exec, 'jobcast', 'dev', ...files, '--port', port], {
    env,
    ready: /page\s+(http\S+)/,
  })
  return match[1] ?? ''
}
