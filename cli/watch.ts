import { createLogUpdate } from 'log-update'
import {
  isTerminal as isOver,
  type Job,
  type JobcastClient,
  type JobWatch,
  type WatchEvent,
  type WatchState,
} from '../client/index.ts'
import type { ClientFlags } from './connect.ts'
import {
  bar,
  clockTime,
  cut,
  duration,
  dye,
  harmless,
  print,
  printJson,
  say,
  statusColor,
} from './terminal.ts'

/** Exit codes: how the job ended, or that somebody had enough of watching. */
const COMPLETED = 0
const NOT_COMPLETED = 1
const INTERRUPTED = 130

/** How often the line is drawn again, in ms. */
const REDRAW_MS = 100
/** How often progress is a line of its own where it cannot be drawn, in ms. */
const PROGRESS_LINE_MS = 2000
const BAR_COLUMNS = 24

/**
 * Shows a job until it has ended: what it logs, and a bar below that where it is a terminal; then its result on standard
 * output. Resolves to the exit code. Ctrl-C asks on a terminal whether the job is to be cancelled.
 */
export async function follow(client: JobcastClient, jobId: string, flags: ClientFlags): Promise<number> {
  // Where there is no such job, or no server, this says so at once.
  await client.get(jobId)
  const view =
    flags.json === true ? jsonView : process.stderr.isTTY === true ? new LiveView(client) : new PlainView()
  const watch = client.watch(jobId, { history: true, onEvent: (event) => view.event(event) })
  const leave = watch.subscribe(() => view.changed(watch.getSnapshot()))
  const interruption = interrupted(view, () => client.cancel(jobId))
  try {
    const end = await Promise.race([watch.finished, interruption.left])
    if (end === null) return INTERRUPTED
    view.ended(end)
    if (interruption.happened()) return INTERRUPTED
    return end.status === 'completed' ? COMPLETED : NOT_COMPLETED
  } finally {
    interruption.forget()
    leave()
    view.close()
    closeQuietly(watch)
  }
}

function closeQuietly(watch: JobWatch): void {
  watch.finished.catch(() => {})
  watch.close()
}

interface View {
  event(event: WatchEvent): void
  changed(state: WatchState): void
  ended(job: Job): void
  /** Makes room for a question, and takes it away again. */
  ask(question: string | null): void
  close(): void
}

/** One event a line, as the protocol has them, and the job itself as the last. */
const jsonView: View = {
  event: (event) => print(JSON.stringify(event)),
  changed: () => {},
  ended: (job) => print(JSON.stringify({ kind: 'job', job })),
  ask: () => {},
  close: () => {},
}

/** Lines, for logs and pipes. */
class PlainView implements View {
  #progressAt = Number.NEGATIVE_INFINITY

  event(event: WatchEvent): void {
    if (event.kind === 'progress') {
      const now = performance.now()
      if (now - this.#progressAt < PROGRESS_LINE_MS && event.data.percent < 100) return
      this.#progressAt = now
    }
    const line = lineOf(event)
    if (line !== null) say(line)
  }

  changed(): void {}

  ended(job: Job): void {
    sayEnd(job)
  }

  ask(): void {}

  close(): void {}
}

/** Lines, and one below them that is drawn again and again. */
class LiveView implements View {
  readonly #client: JobcastClient
  readonly #draw = createLogUpdate(process.stderr)
  readonly #timer = setInterval(() => this.#redraw(), REDRAW_MS)
  #state: WatchState | null = null
  #question: string | null = null

  constructor(client: JobcastClient) {
    this.#client = client
  }

  event(event: WatchEvent): void {
    // What the line below shows already.
    const isShown = event.kind === 'progress' || (event.kind === 'status' && event.data.error == null)
    const line = isShown ? null : lineOf(event)
    if (line === null) return
    this.#draw.clear()
    say(line)
    this.#redraw()
  }

  changed(state: WatchState): void {
    this.#state = state
  }

  ended(job: Job): void {
    this.close()
    sayEnd(job)
  }

  ask(question: string | null): void {
    this.#question = question
    this.#redraw()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#draw.clear()
    this.#draw.done()
  }

  #redraw(): void {
    const line = this.#state === null ? dye.dim('connecting …') : this.#lineOf(this.#state)
    const { columns } = process.stderr
    this.#draw(
      [line, this.#question ?? []]
        .flat()
        .map((one) => cut(one, columns - 1))
        .join('\n'),
    )
  }

  #lineOf({ job, queue, phase }: WatchState): string {
    if (job === null) return dye.dim(`${phase} …`)
    const away = phase === 'reconnecting' ? dye.magenta('reconnecting …  ') : ''
    return away + this.#standing(job, queue)
  }

  #standing(job: Job, queue: WatchState['queue']): string {
    const now = this.#client.now()
    if (job.status === 'scheduled') {
      const inMs = Date.parse(job.scheduledFor ?? job.createdAt) - now
      return `${dye.dim('scheduled')}  ${inMs > 0 ? `in ${duration(inMs)}` : 'now'}${attemptOf(job)}`
    }
    if (job.status === 'queued') return `${dye.dim('queued')}  ${standingInLine(queue, now)}${attemptOf(job)}`
    const seconds = Math.floor((now - Date.parse(job.startedAt ?? job.createdAt)) / 1000)
    const since = seconds < 1 ? '' : dye.dim(`  ${seconds < 60 ? `${seconds} s` : duration(seconds * 1000)}`)
    const cancelling = job.cancelRequested ? `  ${dye.magenta('cancelling')}` : ''
    if (job.progress === null) return `${dye.cyan(job.status)}${since}${attemptOf(job)}${cancelling}`
    const { percent, note } = job.progress
    const columns = Math.max(8, Math.min(BAR_COLUMNS, process.stderr.columns - 30))
    const told = note === null ? '' : `  ${harmless(note).replaceAll('\n', ' ')}`
    return `${bar(percent, columns, dye)} ${String(Math.floor(percent)).padStart(3)} %${since}${attemptOf(job)}${cancelling}${told}`
  }
}

function standingInLine(queue: WatchState['queue'], now: number): string {
  if (queue === null) return ''
  if (queue.held === 'paused') return 'its type is paused: jobcast resume lets it run'
  if (queue.held !== null) return 'no live worker runs its type'
  const place = queue.place === null ? 'far back in the line' : `place ${queue.place}`
  const inMs = queue.startsAt === null ? 0 : Date.parse(queue.startsAt) - now
  return inMs > 1000 ? `${place}, starts in about ${duration(inMs)}` : place
}

function attemptOf({ attempt, maxAttempts }: Job): string {
  return attempt > 1 ? dye.dim(`  attempt ${attempt} of ${maxAttempts}`) : ''
}

/** Null for what is no news to who watches. */
function lineOf(event: WatchEvent): string | null {
  if (event.kind === 'missed')
    return dye.magenta(`… some of the events ${event.from} to ${event.to} are no longer kept`)
  const at = dye.dim(clockTime(event.at))
  switch (event.kind) {
    case 'log': {
      const { level, line } = event.data
      const colors = { debug: dye.dim, info: (text: string) => text, warn: dye.yellow, error: dye.red }
      const mark = level === 'warn' || level === 'error' ? `${level}: ` : ''
      return `${at}  ${colors[level](mark + harmless(line))}`
    }
    case 'chunk':
      return `${at}  ${dye.dim('chunk')} ${cut(JSON.stringify(event.data), 400)}`
    case 'progress': {
      const { percent, note } = event.data
      return `${at}  ${Math.floor(percent)} %${note === null ? '' : `  ${harmless(note)}`}`
    }
    case 'status':
      return statusLine(event.data, at)
  }
}

type StatusData = Extract<WatchEvent, { kind: 'status' }>['data']

function statusLine(
  { status, error, scheduledFor, cancelRequested, attempt }: StatusData,
  at: string,
): string | null {
  if (status === undefined)
    return cancelRequested === true ? `${at}  ${dye.magenta('cancel requested')}` : null
  // The end has a line of its own.
  if (isOver(status)) return null
  const said = statusColor(status, dye)(status)
  if (typeof error === 'string') {
    const next = typeof scheduledFor === 'string' ? `, again at ${clockTime(scheduledFor)}` : ''
    const which = typeof attempt === 'number' ? `attempt ${attempt - 1} failed` : 'an attempt failed'
    return `${at}  ${dye.red(which)}${next}: ${harmless(error)}`
  }
  return `${at}  ${said}`
}

function sayEnd(job: Job): void {
  const began = job.startedAt ?? job.createdAt
  const took = duration(Date.parse(job.completedAt ?? began) - Date.parse(began))
  const attempts = job.attempt > 1 ? ` at attempt ${job.attempt} of ${job.maxAttempts}` : ''
  if (job.status === 'completed') say(`${dye.green('✔ completed')} in ${took}${attempts}`)
  else if (job.status === 'cancelled') say(dye.magenta('⊘ cancelled'))
  else say(`${dye.red('✖ failed')}${attempts}: ${harmless(job.error ?? 'nothing is said of why')}`)
  if (job.status === 'completed' && job.result !== null) printJson(job.result)
}

/**
 * Ctrl-C: where nobody can be asked it leaves the job to itself. On a terminal it asks whether to cancel it, and goes on watching while it
 * waits for the answer and, after a yes, for the end; another Ctrl-C leaves.
 */
function interrupted(view: View, cancel: () => Promise<unknown>) {
  const mayAsk = process.stdin.isTTY === true && process.stderr.isTTY === true
  let count = 0
  let leave: (nothing: null) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const left = new Promise<null>((resolve, reject) => {
    leave = resolve
    fail = reject
  })
  left.catch(() => {})
  const onSignal = () => {
    count += 1
    if (!mayAsk || count > 1) return leave(null)
    view.ask('Cancel the job? y: cancel it, n: go on watching, Ctrl-C: leave it running ')
    process.stdin.setRawMode(true)
    process.stdin.resume().on('data', onKey)
  }
  const onKey = (key: Buffer) => {
    // With the Enter that came along, from whoever is used to it.
    const typed = key
      .toString()
      .replace(/[\r\n]+$/, '')
      .toLowerCase()
    if (typed === '\u0003') return leave(null)
    if (typed !== 'y' && typed !== 'n') return
    forgetKeys()
    view.ask(null)
    if (typed === 'y') cancel().catch(fail)
    else count = 0
  }
  const forgetKeys = () => {
    if (!mayAsk) return
    process.stdin.off('data', onKey).pause()
    process.stdin.setRawMode(false)
  }
  process.on('SIGINT', onSignal)
  return {
    left,
    happened: () => count > 0,
    forget() {
      process.off('SIGINT', onSignal)
      forgetKeys()
    },
  }
}
