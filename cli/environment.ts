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
