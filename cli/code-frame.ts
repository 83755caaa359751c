import { readFileSync } from 'node:fs'
import { isAbsolute, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Place } from '../server/load-jobs.ts'
import { color, cut, harmless, isTerminal } from './terminal.ts'

/** Where something went wrong, as it is shown: places relative to the folder of the project, and the lines around one. */

const LINES_AROUND = 2
/** What stands before a frame where it is printed, and the mark of its line. */
const INDENT = 8

/** The lines around a place, with a mark at its own; none where the file cannot be read. */
export function codeFrame({ file, line, column }: Place): string[] {
  let lines: string[]
  try {
    lines = readFileSync(file, 'utf8').split('\n')
  } catch {
    return []
  }
  if (lines[line - 1] === undefined) return []
  const from = Math.max(1, line - LINES_AROUND)
  const to = Math.min(lines.length, line + LINES_AROUND)
  const digits = String(to).length
  const width = isTerminal ? Math.max(20, process.stdout.columns - INDENT) : Number.POSITIVE_INFINITY
  const frame: string[] = []
  for (let row = from; row <= to; row++) {
    const source = harmless(lines[row - 1] ?? '').replaceAll('\t', ' ')
    const text = cut(`${String(row).padStart(digits)} │ ${source}`, width)
    frame.push(row === line ? `${color.red('›')} ${text}` : color.dim(`  ${text}`))
    if (row === line && column !== null && column + digits + 3 < width)
      frame.push(color.red(`${' '.repeat(digits + 5 + Math.max(0, column - 1))}^`))
  }
  return frame
}

const LOCATION = /((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*?):(\d+)(?::(\d+))?\)?$/

export interface ShownStack {
  readonly lines: readonly string[]
  /** The first frame in the project's own code. */
  readonly place: Place | null
}

/** The frames of a stack that are the project's own; all of them where none is. */
export function ownFrames(frames: string): ShownStack {
  const read = frames.split('\n').flatMap((line) => {
    const [found, at = '', row, column] = LOCATION.exec(line) ?? []
    if (found === undefined) return []
    const file = at.startsWith('file://') ? fileURLToPath(at) : at
    const isOwn = !file.includes(`${sep}node_modules${sep}`)
    const shown = line.replace(at, shownFile(file))
    return [
      {
        isOwn,
        shown,
        place: { file, line: Number(row), column: column === undefined ? null : Number(column) },
      },
    ]
  })
  const own = read.filter(({ isOwn }) => isOwn)
  return {
    lines: (own.length > 0 ? own : read).map(({ shown }) => shown),
    place: own[0]?.place ?? null,
  }
}

function shownFile(file: string): string {
  const within = relative(process.cwd(), file)
  return within.startsWith('..') || isAbsolute(within) ? file : within
}
