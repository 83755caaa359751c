import { createHash } from 'node:crypto'
import { formatCursor } from '../../../shared/cursor.ts'
import { IDEMPOTENCY_TTL_MS, MAX_BATCH } from '../../../shared/limits.ts'
import { NO_LABELS } from '../../../shared/options.ts'
import { JOB_STATUSES } from '../../../shared/status.ts'
import type { NewJob, SubmitReceipt, SubmitRequest, SubmittedJob } from '../engine.ts'
import { MAX_CALL_JOBS } from '../engine.ts'
import { IdempotencyMismatch } from '../errors.ts'
import { iso } from '../job/events.ts'
import { newJobId } from '../job/ids.ts'
import { encodeLabels } from '../job/labels.ts'
import { Batcher } from './batcher.ts'
import { encodeKind } from './codec.ts'
import { asOutcomeUnknown, type Commands } from './commands.ts'
import { ANSWER_MS, type Answer } from './connection.ts'
import type { Keyspace } from './keys.ts'
import { encodeSubmitted } from './messages.ts'
import { LARGE, SCRIPTS, text, word } from './scripts.ts'

/** A job as the script takes it. */
interface EncodedJob {
  readonly type: string
  readonly kind: string
  readonly tags: readonly string[]
  /** When it is to run, and its labels. */
  readonly extras: string
  /** JSON. */
  readonly payload: string
}

interface Submission {
  readonly jobs: readonly EncodedJob[]
  /** Given when the call is made. */
  readonly ids: string[]
  readonly characters: number
}

/** Characters that weigh as much as a job in a call, so that what goes together is not large. */
const CHARACTERS_A_JOB = LARGE / MAX_CALL_JOBS

/** Stores jobs. Submissions of one tick go in one call; those with an idempotency key go alone. */
export class Submitter {
  readonly #commands: Commands
  readonly #keys: Keyspace
  readonly #epoch: () => string
  readonly #batcher: Batcher<Submission, SubmitReceipt>

  constructor(commands: Commands, keys: Keyspace, epoch: () => string) {
    this.#commands = commands
    this.#keys = keys
    this.#epoch = epoch
    this.#batcher = new Batcher({
      send: (submissions, deadlineMs) => this.#store(submissions, deadlineMs),
      weigh: ({ jobs, characters }) => jobs.length + characters / CHARACTERS_A_JOB,
      maxWeight: MAX_CALL_JOBS,
      deadlineMs: ANSWER_MS,
      explain: (error, { ids }) => asOutcomeUnknown(error, ids),
    })
  }

  async submit({ jobs, idempotency }: SubmitRequest): Promise<SubmitReceipt> {
    if (jobs.length > MAX_BATCH) throw new RangeError(`at most ${MAX_BATCH} jobs can be submitted at once`)
    const submission = encode(jobs)
    if (jobs.length === 0) return { jobs: [], replayed: false }
    if (idempotency === undefined) {
      return submission.characters > LARGE ? this.#storeAlone(submission) : this.#batcher.add(submission)
    }
    const { scope, key, bodyHash } = idempotency
    try {
      return await this.#storeOnce(submission, recordName(scope, key), digest(bodyHash))
    } catch (error) {
      throw asOutcomeUnknown(error, submission.ids)
    }
  }

  /** What is large takes its time, and no other waits for it. */
  async #storeAlone(submission: Submission): Promise<SubmitReceipt> {
    try {
      const [receipt] = await this.#store([submission], ANSWER_MS)
      if (receipt === undefined) throw new TypeError('there is no receipt')
      return receipt
    } catch (error) {
      throw asOutcomeUnknown(error, submission.ids)
    }
  }

  async #store(submissions: readonly Submission[], deadlineMs: number): Promise<SubmitReceipt[]> {
    const answer = await this.#send(null, [], submissions, deadlineMs)
    const [tag, now = '', ...statuses] = text(answer.reply).split(' ')
    word(tag, ['stored'])
    const all = statusesOfJobs(answer.groups, statuses)
    const stored = { createdAt: iso(Number(now)), cursor: formatCursor(answer.epoch, 1) }
    let first = 0
    return submissions.map((submission) => {
      const jobs = receipts(submission, all, first, stored)
      first += submission.jobs.length
      return { jobs, replayed: false }
    })
  }

  async #storeOnce(submission: Submission, record: string, bodyHash: string): Promise<SubmitReceipt> {
    const header = [bodyHash, this.#epoch(), IDEMPOTENCY_TTL_MS]
    const { reply, epoch, groups } = await this.#send(record, header, [submission], ANSWER_MS)
    const answer = text(reply)
    const [tag, now = '', ...statuses] = answer.split(' ')
    switch (word(tag, ['stored', 'replayed', 'mismatch'])) {
      case 'stored': {
        const stored = { createdAt: iso(Number(now)), cursor: formatCursor(epoch, 1) }
        const all = statusesOfJobs(groups, statuses)
        return { jobs: receipts(submission, all, 0, stored), replayed: false }
      }
      case 'replayed': {
        const jobs = decodeRecord(answer.slice('replayed '.length))
        // Where this very call was sent twice, it replays itself.
        return { jobs, replayed: jobs[0]?.jobId !== submission.ids[0] }
      }
      case 'mismatch':
        throw new IdempotencyMismatch('the idempotency key was used with another body')
    }
  }

  async #send(
    record: string | null,
    header: readonly (string | number)[],
    submissions: readonly Submission[],
    deadlineMs: number,
  ): Promise<Answer & { readonly groups: readonly number[] }> {
    const [partition] = this.#keys.every
    giveIds(submissions)
    const { args, groups } = groupsOf(submissions)
    const message = encodeSubmitted(submissions.flatMap(({ jobs }) => jobs))
    const answer = await this.#commands.repeat((left, again) => {
      const all = [again ? 'again' : '', message, record ?? '', ...header, ...args]
      return this.#commands.run(SCRIPTS.submit, partition, all, left)
    }, deadlineMs)
    return { ...answer, groups }
  }
}

function encode(jobs: readonly NewJob[]): Submission {
  let characters = 0
  const encoded = jobs.map((job): EncodedJob => {
    const { type, payload, policy, tags = NO_LABELS.tags, when } = job
    const json = JSON.stringify(payload)
    characters += json.length
    const labels = encodeLabels(job)
    const extras = encodeWhen(when) + (labels && ` ${labels}`)
    return { type, kind: encodeKind(type, policy), tags, extras, payload: json }
  })
  return { jobs: encoded, ids: [], characters }
}

/** The jobs of a call share one order, and stand in line by their ids, which ascend. */
function giveIds(submissions: readonly Submission[]): void {
  for (const { jobs, ids } of submissions) for (const _job of jobs) ids.push(newJobId())
}

/**
 * Jobs that follow each other and are alike but for id and payload are told once what they have in common. `groups`: how
 * many are in each.
 */
function groupsOf(submissions: readonly Submission[]): { args: string[]; groups: number[] } {
  const args: string[] = []
  const groups: number[] = []
  let first: EncodedJob | undefined
  let amountAt = 0
  let amount = 0
  for (const { jobs, ids } of submissions) {
    for (const [index, job] of jobs.entries()) {
      if (first === undefined || job.kind !== first.kind || job.extras !== first.extras) {
        first = job
        amountAt = args.push(job.kind, '') - 1
        amount = 0
        groups.push(0)
      }
      amount += 1
      args[amountAt] = `${amount}${job.extras}`
      groups[groups.length - 1] = amount
      args.push(ids[index] ?? '', job.payload)
    }
  }
  return { args, groups }
}

function encodeWhen(when: NewJob['when']): string {
  if ('runAt' in when) return ` @${when.runAt}`
  return when.delayMs > 0 ? ` +${when.delayMs}` : ''
}

/** The script answers one status a group. */
function statusesOfJobs(groups: readonly number[], statuses: readonly string[]): string[] {
  return statuses.flatMap((status, group) => new Array<string>(groups[group] ?? 0).fill(status))
}

/** Makes the receipts of a submission whose statuses begin at `first` in those of the call. */
function receipts(
  { jobs, ids }: Submission,
  statuses: readonly string[],
  first: number,
  { createdAt, cursor }: Pick<SubmittedJob, 'createdAt' | 'cursor'>,
): SubmittedJob[] {
  return jobs.map(({ type }, index) => ({
    jobId: ids[index] ?? '',
    type,
    status: word(statuses[first + index], JOB_STATUSES),
    createdAt,
    cursor,
  }))
}

/** Reads a record of lines: digest of the body, epoch, time, then `<id> <type> <status>` of each job. */
function decodeRecord(record: string): SubmittedJob[] {
  const [, epoch = '', createdAt = '0', ...jobs] = record.split('\n')
  return jobs.map((line) => {
    const [jobId = '', type = '', status] = line.split(' ')
    return {
      jobId,
      type,
      status: word(status, JOB_STATUSES),
      createdAt: iso(Number(createdAt)),
      cursor: formatCursor(epoch, 1),
    }
  })
}

/** The same for every process, and another one for every pair of owner and key. */
function recordName(scope: string, key: string): string {
  return digest(JSON.stringify([scope, key]))
}

function digest(value: string): string {
  return createHash('sha256').update(value).digest('base64url').slice(0, 32)
}
