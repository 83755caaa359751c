import type { JobcastClient, JobSummary, OverviewAnswer, TypesAnswer } from '../client/index.ts'
import { type ClientFlags, withServer } from './connect.ts'
import { jobLines, typeLines } from './jobs.ts'
import { clockTime, color, cut, duration, isTerminal, print, printJson, statusColor } from './terminal.ts'

/** How often it is looked, in ms. */
const EVERY_MS = 1000
/** Failed jobs that are shown. */
const FAILED_ROWS = 5
/** Lines that are no rows of tables: the head, titles, and the space between. */
const FIXED_LINES = 12
const WITHOUT_TERMINAL = { columns: Number.POSITIVE_INFINITY, rows: 1000 }

interface Look {
  readonly overview: OverviewAnswer
  readonly types: TypesAnswer['types']
  readonly running: readonly JobSummary[]
  readonly failed: readonly JobSummary[]
}

/** What happens on a server at this moment, drawn anew every second until `q`; once, where it is no terminal. */
export async function top(flags: ClientFlags): Promise<void> {
  await withServer(flags, async (client, url) => {
    const first = await lookAt(client)
    if (flags.json === true) return printJson(first)
    if (!isTerminal || process.stdin.isTTY !== true) {
      for (const line of screen(first, client.now(), url, WITHOUT_TERMINAL)) print(line)
      return
    }
    await live(client, url, first)
  })
}

async function lookAt(client: JobcastClient): Promise<Look> {
  const [overview, { types }, running, failed] = await Promise.all([
    client.overview(),
    client.types(),
    client.list({ status: 'processing', limit: 50 }),
    client.list({ status: 'failed', limit: FAILED_ROWS }),
  ])
  return { overview, types, running: running.jobs, failed: failed.jobs }
}

/** On the terminal's other screen, so that what was there before comes back. */
async function live(client: JobcastClient, url: string, first: Look): Promise<void> {
  let look = first
  let trouble: string | null = null
  const draw = () => {
    const { columns, rows } = process.stdout
    const lines = screen(look, client.now(), url, { columns, rows }, trouble)
    // Each line is cleared behind its end, and all that is below them: nothing flickers.
    process.stdout.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\r\n')}\u001b[J`)
  }
  const quit = keyOf(['q', '\u0003', '\u001b'])
  process.stdout.write('\u001b[?1049h\u001b[?25l')
  process.stdout.on('resize', draw)
  try {
    draw()
    for (;;) {
      const isOver = await Promise.race([quit.pressed.then(() => true), pause(EVERY_MS)])
      if (isOver) return
      try {
        look = await lookAt(client)
        trouble = null
      } catch (error) {
        trouble = error instanceof Error ? error.message : String(error)
      }
      draw()
    }
  } finally {
    process.stdout.off('resize', draw)
    process.stdout.write('\u001b[?25h\u001b[?1049l')
    quit.forget()
  }
}

function pause(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms))
}

function keyOf(keys: readonly string[]) {
  let done = () => {}
  const pressed = new Promise<void>((resolve) => {
    done = resolve
  })
  const onKey = (key: Buffer) => {
    if (keys.includes(key.toString())) done()
  }
  process.stdin.setRawMode(true)
  process.stdin.on('data', onKey).resume()
  process.once('SIGTERM', done)
  return {
    pressed,
    forget() {
      process.off('SIGTERM', done)
      process.stdin.off('data', onKey).pause()
      process.stdin.setRawMode(false)
    },
  }
}

interface Size {
  readonly columns: number
  readonly rows: number
}

function screen(look: Look, now: number, url: string, size: Size, trouble: string | null = null): string[] {
  const { overview, types, running, failed } = look
  const { columns, rows } = size
  const room = Math.max(6, rows - FIXED_LINES - Math.min(failed.length, FAILED_ROWS))
  const typeRows = Math.min(types.length, Math.max(2, Math.floor(room / 2)))
  const runningRows = Math.max(1, room - typeRows)
  const busiest = [...types].sort(
    (one, other) => activityOf(other) - activityOf(one) || (one.type < other.type ? -1 : 1),
  )
  const lines = [
    `${color.bold('jobcast')} ${overview.version}  ${color.cyan(url)}  ${overview.engine}  ${color.dim(clockTime(now))}`,
    trouble === null ? countsOf(overview) : color.red(trouble),
    workersOf(overview),
    '',
    ...typeLines(busiest.slice(0, typeRows), columns),
    ...more(types.length - typeRows),
    '',
    ...(running.length === 0
      ? [color.dim('nothing runs')]
      : [color.bold('Running'), ...jobLines(running.slice(0, runningRows), now, columns, ['STATUS', 'AGE'])]),
    ...more(running.length - runningRows),
    ...(failed.length === 0
      ? []
      : ['', color.bold('Failed last'), ...jobLines(failed, now, columns, ['STATUS', 'PROGRESS', 'TOOK'])]),
  ]
  if (rows === WITHOUT_TERMINAL.rows) return lines
  const shown = lines.slice(0, rows - 1).map((line) => cut(line, columns))
  return [...shown, color.dim('q quits')]
}

function activityOf({ counts }: TypesAnswer['types'][number]): number {
  return counts.processing + counts.queued
}

function more(count: number): string[] {
  return count > 0 ? [color.dim(`… and ${count} more`)] : []
}

function countsOf({ counts }: OverviewAnswer): string {
  const shown = (['queued', 'processing', 'scheduled', 'completed', 'failed'] as const).map((status) => {
    const word = status === 'processing' ? 'running' : status
    const count = counts[status] ?? 0
    return count === 0 ? color.dim(`${word} 0`) : `${word} ${statusColor(status)(count.toLocaleString('en'))}`
  })
  return shown.join('   ')
}

function workersOf({ workers, gateways }: OverviewAnswer): string {
  if (workers.length === 0) return color.red('no worker is alive: nothing runs')
  const busy = sum(workers.map(({ running }) => running))
  const slots = sum(workers.map(({ concurrency }) => concurrency))
  const rate = sum(workers.map(({ ratePerSecond }) => ratePerSecond))
  const watching = sum(gateways.map(({ subscriptions }) => subscriptions))
  const waits = workers.flatMap(({ waitMs }) => waitMs?.p99 ?? [])
  const slowest = waits.length === 0 ? '' : `   waits up to ${duration(Math.max(...waits))}`
  const named = workers.length === 1 ? '1 worker' : `${workers.length} workers`
  return `${named}, ${busy} of ${slots} slots busy   ${rate.toFixed(1)} runs/s${slowest}   ${watching} watched`
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
