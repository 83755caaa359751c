import type { Events } from '../server/events.ts'
import type { Log } from '../server/log.ts'
import { inSource, withoutOwn } from '../server/source-maps.ts'
import type { Thrown } from '../server/thrown.ts'
import { codeFrame, ownFrames } from './code-frame.ts'
import { clockTime, color, duration, harmless, pad, print } from './terminal.ts'

/** What `jobcast dev` prints of its jobs: a line for what each logs and how each ends, and where a failed one threw. */

/** Lines a second; what comes beyond them is counted. */
const MOST_LINES = 40
const SECOND_MS = 1000
/** Of an id, which begins with the time like its neighbours'. */
const ID_CHARACTERS = 6

export function printRuns(events: Events, types: readonly string[]): void {
  const columns = Math.min(24, Math.max(0, ...types.map((type) => type.length)))
  const lines = new LineBudget()
  const head = (type: string, jobId: string) =>
    `${color.dim(clockTime(Date.now()))}  ${pad(type, columns)}  ${color.dim(jobId.slice(-ID_CHARACTERS))}  `
  events.on('run.logged', ({ jobId, type, level, line }) => {
    if (!lines.allows()) return
    const paint = { debug: color.dim, info: String, warn: color.magenta, error: color.red }[level]
    const mark = level === 'warn' || level === 'error' ? `${level}: ` : ''
    print(head(type, jobId) + paint(mark + harmless(line)))
  })
  let lastStack = ''
  events.on('run.settled', ({ jobId, type, attempt, status, error, errorCode, thrown, runMs }) => {
    if (!lines.allows()) return
    const begin = head(type, jobId)
    const took = color.dim(duration(runMs))
    if (status === 'completed') return print(`${begin}${color.green('✔')} ${took}`)
    if (status === 'cancelled') return print(`${begin}${color.magenta('⊘ cancelled')}`)
    if (status !== 'failed' && status !== 'scheduled') return
    const again = status === 'scheduled' ? `attempt ${attempt} failed, another follows` : 'failed'
    const what = errorCode === 'handler_error' || errorCode === null ? '' : `${errorCode}: `
    // What caused it comes below, with where it was thrown.
    const message = (thrown === null ? error : error?.split('\n')[0]) ?? ''
    print(`${begin}${color.red(`✖ ${again}`)} ${took}  ${what}${harmless(message)}`)
    const stack = thrown === null ? [] : stackOf(thrown)
    const text = stack.join('\n')
    // Every attempt throws alike.
    if (text !== '' && text !== lastStack) print(text)
    lastStack = text
  })
}

/** Where it was thrown, and where what caused it was. */
function stackOf(thrown: Thrown): string[] {
  const { lines, place } = ownFrames(inSource(withoutOwn(thrown.frames)))
  const frame = place === null ? [] : codeFrame(place)
  return [
    ...frame.map((line) => `      ${line}`),
    ...lines.map((line) => color.dim(`  ${line}`)),
    ...thrown.causes.flatMap((cause) => [
      `    caused by ${cause.name}: ${harmless(cause.message)}`,
      ...ownFrames(inSource(withoutOwn(cause.frames))).lines.map((line) => color.dim(`  ${line}`)),
    ]),
  ]
}

/** What a job server says of itself, where it is worth the attention of whoever is at work on something else. */
export const devLog: Log = {
  isLevelEnabled: (level) => level === 'warn',
  debug: () => {},
  info: () => {},
  warn: (details, message) => printTrouble(color.magenta('!'), details, message),
  error: (details, message) => printTrouble(color.red('!'), details, message),
}

function printTrouble(mark: string, details: object, message: string): void {
  const { err, ...facts } = details as { readonly err?: { readonly stack: string } }
  const told = Object.entries(facts)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
  print(
    `${color.dim(clockTime(Date.now()))}  ${mark} ${message}${told.length > 0 ? color.dim(` (${harmless(told.join(', '))})`) : ''}`,
  )
  if (err !== undefined) print(color.dim(harmless(err.stack)))
}

/** Jobs may be thousands a second; a terminal is read by a person. */
class LineBudget {
  #left = MOST_LINES
  #passedOver = 0
  #timer: NodeJS.Timeout | null = null

  allows(): boolean {
    this.#timer ??= setTimeout(() => this.#renew(), SECOND_MS).unref()
    if (this.#left > 0) {
      this.#left -= 1
      return true
    }
    this.#passedOver += 1
    return false
  }

  #renew(): void {
    if (this.#passedOver > 0)
      print(color.dim(`          … and ${this.#passedOver} lines more in this second`))
    this.#left = MOST_LINES
    this.#passedOver = 0
    this.#timer = null
  }
}
