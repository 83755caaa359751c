import {
  isTerminal as isOver,
  type Job,
  type JobStatus,
  type JobSummary,
  type TypeInfo,
} from '../client/index.ts'
import { type ClientFlags, withServer } from './connect.ts'
import {
  bar,
  type Column,
  CommandError,
  color,
  duration,
  dye,
  harmless,
  isTerminal,
  print,
  printJson,
  say,
  statusColor,
  table,
} from './terminal.ts'

export interface ListFlags extends ClientFlags {
  readonly type?: readonly string[]
  readonly status?: readonly JobStatus[]
  readonly tag?: readonly string[]
  readonly limit?: string
  readonly page?: string
}

const BAR_COLUMNS = 8

export async function list(flags: ListFlags): Promise<void> {
  const limit = Number(flags.limit ?? 20)
  if (!Number.isInteger(limit) || limit < 1 || limit > 200)
    throw new CommandError(`--limit ${flags.limit} must be a whole number from 1 to 200`, { exitCode: 2 })
  const { type, status, tag, page } = flags
  await withServer(flags, async (client) => {
    const answer = await client.list({
      limit,
      ...(type !== undefined && { type }),
      ...(status !== undefined && { status }),
      ...(tag !== undefined && { tag }),
      ...(page !== undefined && { page }),
    })
    if (flags.json === true) return printJson(answer)
    const isFiltered = [type, status, tag].some((filter) => filter !== undefined)
    if (answer.jobs.length === 0)
      return say(
        dye.dim(isFiltered ? 'no job is like that' : 'there are no jobs: jobcast submit <type> makes one'),
      )
    for (const line of jobLines(answer.jobs, client.now())) print(line)
    if (answer.nextPage !== null) say(dye.dim(`older ones: --page ${answer.nextPage}`))
  })
}

/** A table of jobs, as wide as the terminal, without the columns that say nothing where it stands. */
export function jobLines(
  jobs: readonly JobSummary[],
  now: number,
  width?: number,
  without: readonly string[] = [],
): string[] {
  const columns: Column<JobSummary>[] = [
    { title: 'ID', of: ({ jobId }) => jobId },
    { title: 'TYPE', of: ({ type }) => type, flexible: true, spare: 2 },
    { title: 'STATUS', of: ({ status }) => statusColor(status)(status) },
    { title: 'PROGRESS', of: progressOf, spare: 3 },
    { title: 'AGE', of: ({ createdAt }) => duration(now - Date.parse(createdAt)), align: 'right', spare: 1 },
    { title: 'TOOK', of: (job) => tookOf(job, now), align: 'right', spare: 4 },
    { title: 'TAGS', of: ({ tags }) => harmless(tags.join(' ')), flexible: true, spare: 6 },
    {
      title: 'NOTE',
      of: ({ error, progress }) =>
        error === null ? harmless(progress?.note ?? '') : color.red(harmless(error.split('\n')[0] ?? '')),
      flexible: true,
      spare: 5,
    },
  ]
  // A column in which nothing stands says nothing.
  const told = columns.filter(
    ({ title, of, spare }) =>
      !without.includes(title) && (spare === undefined || jobs.some((job) => of(job) !== '')),
  )
  return table(jobs, told, width)
}

function progressOf({ status, progress }: JobSummary): string {
  if (progress === null || status === 'completed') return ''
  const percent = `${String(Math.floor(progress.percent)).padStart(3)} %`
  return isTerminal ? `${bar(progress.percent, BAR_COLUMNS)} ${percent}` : percent.trim()
}

function tookOf({ startedAt, completedAt, status }: JobSummary, now: number): string {
  if (startedAt === null || (completedAt === null && status !== 'processing')) return ''
  return duration((completedAt === null ? now : Date.parse(completedAt)) - Date.parse(startedAt))
}

export async function get(jobId: string, flags: ClientFlags): Promise<void> {
  await withServer(flags, async (client) => {
    const job = await client.get(jobId)
    if (flags.json === true) return printJson(job)
    for (const line of factsOf(job, client.now())) print(line)
  })
}

function factsOf(job: Job, now: number): string[] {
  const at = (time: string | null) =>
    time === null
      ? null
      : `${time}  ${color.dim(`${duration(Math.abs(now - Date.parse(time)))} ${Date.parse(time) > now ? 'from now' : 'ago'}`)}`
  const { progress } = job
  const facts: [string, string | null][] = [
    ['job', job.jobId],
    ['type', job.type],
    [
      'status',
      statusColor(job.status)(job.status) +
        (job.cancelRequested && !isOver(job.status) ? ', cancel requested' : ''),
    ],
    [
      'progress',
      progress === null
        ? null
        : `${Math.floor(progress.percent)} %${progress.note === null ? '' : `  ${harmless(progress.note)}`}`,
    ],
    [
      'error',
      job.error === null ? null : color.red(harmless(job.error)).replaceAll('\n', `\n${' '.repeat(11)}`),
    ],
    ['attempt', `${job.attempt} of ${job.maxAttempts}${job.stalls > 0 ? `, ${job.stalls} stalls` : ''}`],
    ['priority', job.priority === 0 ? null : String(job.priority)],
    ['tags', job.tags.length === 0 ? null : harmless(job.tags.join(' '))],
    ['created', at(job.createdAt)],
    ['scheduled', isOver(job.status) ? null : at(job.scheduledFor)],
    ['started', at(job.startedAt)],
    ['ended', at(job.completedAt)],
    ['expires', at(job.expiresAt)],
    ['payload', jsonFact(job.payload)],
    ['result', job.result === null ? null : jsonFact(job.result)],
  ]
  return facts.flatMap(([name, value]) => (value === null ? [] : [`${color.dim(name.padEnd(9))}  ${value}`]))
}

function jsonFact(value: unknown): string {
  const short = JSON.stringify(value)
  if (short.length <= 60) return harmless(short)
  return harmless(JSON.stringify(value, null, 2)).replaceAll('\n', `\n${' '.repeat(11)}`)
}

export async function cancel(jobIds: readonly string[], flags: ClientFlags): Promise<void> {
  await each(
    jobIds,
    flags,
    (client, jobId) => client.cancel(jobId),
    (job) => (job.status === 'cancelled' ? 'cancelled' : 'cancel requested: it takes a moment'),
  )
}

export async function retry(jobIds: readonly string[], flags: ClientFlags): Promise<void> {
  await each(
    jobIds,
    flags,
    (client, jobId) => client.retry(jobId),
    (job) => job.status,
  )
}

type Client = Parameters<Parameters<typeof withServer>[1]>[0]

async function each(
  jobIds: readonly string[],
  flags: ClientFlags,
  call: (client: Client, jobId: string) => Promise<Job>,
  told: (job: Job) => string,
): Promise<void> {
  await withServer(flags, async (client) => {
    for (const jobId of jobIds) {
      const job = await call(client, jobId)
      if (flags.json === true) print(JSON.stringify(job))
      else print(`${job.jobId}  ${statusColor(job.status)(told(job))}`)
    }
  })
}

export async function setPaused(
  types: readonly string[],
  paused: boolean,
  flags: ClientFlags,
): Promise<void> {
  await withServer(flags, async (client) => {
    for (const type of types) {
      await (paused ? client.pause(type) : client.resume(type))
      if (flags.json === true) print(JSON.stringify({ type, paused }))
      else print(`${type}  ${paused ? 'paused: nothing of it starts until jobcast resume' : 'runs'}`)
    }
  })
}

export async function types(flags: ClientFlags): Promise<void> {
  await withServer(flags, async (client) => {
    const answer = await client.types()
    if (flags.json === true) return printJson(answer)
    if (answer.types.length === 0) return say(dye.dim('the server knows no job types'))
    for (const line of typeLines(answer.types)) print(line)
  })
}

/** A table of job types, as wide as the terminal. */
export function typeLines(all: readonly TypeInfo[], width?: number): string[] {
  const count = (title: string, status: JobStatus, spare: number): Column<TypeInfo> => ({
    title,
    of: ({ counts }) => (counts[status] === 0 ? color.dim('0') : statusColor(status)(String(counts[status]))),
    align: 'right',
    spare,
  })
  return table(
    all,
    [
      { title: 'TYPE', of: ({ type }) => type, flexible: true },
      count('QUEUED', 'queued', 1),
      count('RUNNING', 'processing', 1),
      count('SCHEDULED', 'scheduled', 4),
      count('COMPLETED', 'completed', 3),
      count('FAILED', 'failed', 2),
      count('CANCELLED', 'cancelled', 6),
      { title: 'AT ONCE', of: ({ concurrency }) => String(concurrency), align: 'right', spare: 5 },
      { title: 'STATE', of: stateOf },
    ],
    width,
  )
}

function stateOf({ paused, workers, counts }: TypeInfo): string {
  if (paused) return color.magenta('paused')
  if (workers > 0) return color.dim(workers === 1 ? '1 worker' : `${workers} workers`)
  return counts.queued > 0 ? color.red('no worker') : color.dim('no worker')
}
