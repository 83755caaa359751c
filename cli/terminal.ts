import picocolors from 'picocolors'
import sliceAnsi from 'slice-ansi'
import stringWidth from 'string-width'
import type { JobStatus } from '../shared/status.ts'
import { wantsColor } from './environment.ts'

/**
 * What commands print, and how it looks. Answers go to standard output, everything that is said besides to standard error,
 * so that answers can be piped. Colours are the terminal's own sixteen, and none is the only one to say something.
 */

export const color = picocolors.createColors(wantsColor(process.stdout))
/** For what goes to standard error. */
export const dye = picocolors.createColors(wantsColor(process.stderr))

/** Where nobody looks at a terminal, lines are as long as they are. */
export const isTerminal = process.stdout.isTTY === true

// Some terminals do not know their size and say 0, in which nothing would be seen.
for (const stream of [process.stdout, process.stderr]) {
  if (stream.isTTY === true && stream.columns === 0) Object.assign(stream, { columns: 80, rows: 24 })
}

/** A mistake of whoever called, or a server that cannot do it: one sentence, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: number
  /** More lines, such as what is wrong with each field. */
  readonly details: readonly string[]

  constructor(
    message: string,
    { exitCode = 1, details = [] }: { readonly exitCode?: number; readonly details?: readonly string[] } = {},
  ) {
    super(message)
    this.exitCode = exitCode
    this.details = details
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, isTerminal ? 2 : undefined))
}

/** To standard error. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** What a job, or a stranger, has to say may hold what a terminal obeys; line breaks and tabs stay. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '·')
}

/** As many columns as there are. */
export function cut(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text
  return columns < 2 ? '' : `${sliceAnsi(text, 0, columns - 1)}…`
}

export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - stringWidth(text)))
}

function padStart(text: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - stringWidth(text))) + text
}

type Painter = (text: string) => string

export function statusColor(status: JobStatus, colors = color): Painter {
  if (status === 'completed') return colors.green
  if (status === 'failed') return colors.red
  if (status === 'processing') return colors.cyan
  return status === 'cancelled' ? colors.magenta : colors.dim
}

/** `820 ms`, `1.2 s`, `3 min 5 s`, `17 min`, `2 h 4 min`, `3 d`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.floor(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return `${minutes} min ${Math.floor(seconds % 60)} s`
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d`
}

/** As a user writes one: `500`, `500ms`, `30s`, `5m`, `2h`, `1d`; null for anything else. */
export function parseDuration(text: string): number | null {
  const [, number, unit = 'ms'] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?$/.exec(text.trim()) ?? []
  const factor = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }[unit]
  return number === undefined || factor === undefined ? null : Math.round(Number(number) * factor)
}

/** `14:02:11`, in the terminal's own time zone. */
export function clockTime(at: string | number | Date): string {
  return new Date(at).toTimeString().slice(0, 8)
}

export function bar(percent: number, columns: number, colors = color): string {
  const full = Math.round((Math.min(100, Math.max(0, percent)) / 100) * columns)
  return colors.cyan('█'.repeat(full)) + colors.dim('░'.repeat(columns - full))
}

export interface Column<Row> {
  readonly title: string
  readonly of: (row: Row) => string
  readonly align?: 'right'
  /** Columns with higher numbers go first where the terminal is too narrow; one without never goes. */
  readonly spare?: number
  /** It is cut rather than that another goes. */
  readonly flexible?: boolean
}

const FLEXIBLE_COLUMNS = 12

/** A line for the titles and one for each row, each within `columns`. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  width = isTerminal ? process.stdout.columns : Number.POSITIVE_INFINITY,
): string[] {
  const cells = rows.map((row) => columns.map((column) => column.of(row)))
  const natural = columns.map(({ title }, at) =>
    Math.max(stringWidth(title), ...cells.map((row) => stringWidth(row[at] ?? ''))),
  )
  const least = natural.map((one, at) =>
    columns[at]?.flexible === true ? Math.min(one, FLEXIBLE_COLUMNS) : one,
  )
  let kept = columns.map((_, at) => at)
  const need = (sizes: readonly number[]) => kept.reduce((sum, at) => sum + (sizes[at] ?? 0) + 2, -2)
  for (;;) {
    if (need(least) <= width) break
    const [first] = kept
      .filter((at) => columns[at]?.spare !== undefined)
      .sort((one, other) => (columns[other]?.spare ?? 0) - (columns[one]?.spare ?? 0))
    if (first === undefined) break
    kept = kept.filter((at) => at !== first)
  }
  let over = Math.max(0, need(natural) - width)
  const sizes = natural.map((one, at) => {
    if (columns[at]?.flexible !== true || !kept.includes(at) || over === 0) return one
    const size = Math.max(least[at] ?? 0, one - over)
    over -= one - size
    return size
  })
  const line = (texts: readonly string[]) =>
    cut(
      kept
        .map((at, index) => {
          const text = cut(texts[at] ?? '', sizes[at] ?? 0)
          if (columns[at]?.align === 'right') return padStart(text, sizes[at] ?? 0)
          return index === kept.length - 1 ? text : pad(text, sizes[at] ?? 0)
        })
        .join('  '),
      width,
    )
  return [color.dim(line(columns.map(({ title }) => title))), ...cells.map(line)]
}
