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

/**
 * The variables of a process that is started: those of this one and, where it does not have them, of files such as `.env`, the first of
 * them before the others, as `node --env-file` reads them.
 */
export function variablesWith(files: readonly string[]): NodeJS.ProcessEnv {
  const read = files.map((file) => parseEnv(readFileSync(file, 'utf8')))
  return { NODE_ENV: 'development', ...Object.assign({}, ...read.reverse()), ...process.env }
}

/** Sets variables for what this process becomes. */
export function setVariables(variables: Readonly<Record<string, string>>): void {
  Object.assign(process.env, variables)
}

/** Whether jobs files are named, and whether jobs run here at all. */
export function namesJobs(): boolean {
  return read('JOBCAST_JOBS') !== undefined || read('JOBCAST_ROLE') === 'api'
}
