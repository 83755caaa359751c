import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'

/** What the command reads from its environment besides what configures a server (`server/config.ts`); empty is unset. */

function read(name: string): string | undefined {
  return process.env[name] || undefined
}

/** Where the server is, and the API key for it, where no option says so. */
export const JOBCAST_URL = read('JOBCAST_URL')
export const JOBCAST_KEY = read('JOBCAST_KEY')

/** https://no-color.org: any value turns colours off; `FORCE_COLOR` on, also where nobody looks at a terminal. */
export function wantsColor(stream: { readonly isTTY?: boolean }): boolean {
  if (read('NO_COLOR') !== undefined || process.argv.includes('--no-color')) return false
  const forced = read('FORCE_COLOR')
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return stream.isTTY === true && read('TERM') !== 'dumb'
}

/** Whatever else is developed on this machine may call, so that a page needs no proxy for a first try. */
const LOCAL_ORIGINS = ['http://localhost:*', 'http://127.0.0.1:*', 'https://localhost:*'].join()

/** Of a server of `jobcast dev`: address and drain are the command's to say, whatever the app beside it listens to. */
export function serverVariables({
  port,
  host,
}: {
  readonly port: number
  readonly host: string
}): NodeJS.ProcessEnv {
  const usual = { JOBCAST_DRAIN_MS: '0', JOBCAST_ALLOWED_ORIGINS: LOCAL_ORIGINS }
  return { ...usual, ...process.env, PORT: String(port), HOST: host }
}

/** The variables that files such as `.env` have, those of the first before the others'. */
export function variablesIn(files: readonly string[]): Record<string, string> {
  const read = files.map((file) => parseEnv(readFileSync(file, 'utf8')))
  return Object.assign({}, ...read.reverse())
}

/** Sets what this process has not got, as `node --env-file` does. */
export function addVariables(variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) process.env[name] ??= value
}

/** Of a process that is started, which is at work on an app unless it is told otherwise. */
export function variablesOfServer(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { NODE_ENV: 'development', ...more, ...process.env }
}

/** Sets variables for what this process becomes. */
export function setVariables(variables: Readonly<Record<string, string>>): void {
  Object.assign(process.env, variables)
}

/** Whether jobs files are named, and whether jobs run here at all. */
export function namesJobs(): boolean {
  return read('JOBCAST_JOBS') !== undefined || read('JOBCAST_ROLE') === 'api'
}
