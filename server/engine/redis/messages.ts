import type {
  NewJob,
  Scheduled,
  Settlement,
  SettleVerdict,
  SubmitReceipt,
  Submitted,
  Unsubscribe,
} from '../engine.ts'
import type { Channels } from './channels.ts'
import type { Commands } from './commands.ts'
import { type Keyspace, submittedChannel } from './keys.ts'

/** How long a store goes on telling without being asked again, and how often it is, in ms. */
const LIFE_MS = 30_000
const RENEW_MS = 10_000
/** Characters of tags; with more, the message says only that there are many. */
const MOST_CHARACTERS = 2048
const MANY = '*'

/**
 * What the store tells of new jobs. It tells nothing unless somebody has said, not long ago, that he listens: a
 * message costs about a twelfth of a submission.
 *
 * Modes: nobody listens; somebody does, and a timer renews what says so.
 */
export class Submissions {
  readonly #commands: Commands
  readonly #channels: Channels
  readonly #keys: Keyspace
  #listeners = 0
  #renewal: NodeJS.Timeout | null = null

  constructor(commands: Commands, channels: Channels, keys: Keyspace) {
    this.#commands = commands
    this.#channels = channels
    this.#keys = keys
  }

  /** Calls back with what is submitted from when the promise resolves. Rejects with `Unavailable`. */
  async listen(listener: (submitted: Submitted) => void): Promise<Unsubscribe> {
    const [partition] = this.#keys.every
    let silence: Unsubscribe = () => undefined
    let isOver = false
    const stop = () => {
      if (isOver) return
      isOver = true
      silence()
      this.#listeners -= 1
      if (this.#listeners === 0) this.stop()
    }
    this.#listeners += 1
    this.#renewal ??= setInterval(() => this.renew(), RENEW_MS)
    try {
      const heard = (message: string) => listener(decodeSubmitted(message))
      silence = await this.#channels.listen(submittedChannel(partition), heard)
      await this.#ask()
    } catch (error) {
      stop()
      throw error
    }
    return stop
  }

  /** The store may be another one, or have forgotten. */
  renew(): void {
    // Where that fails now, the next time is soon; whoever keeps a list looks at it meanwhile.
    if (this.#listeners > 0) this.#ask().catch(() => undefined)
  }

  stop(): void {
    if (this.#renewal !== null) clearInterval(this.#renewal)
    this.#renewal = null
  }

  async #ask(): Promise<void> {
    const [{ prefix }] = this.#keys.every
    await this.#commands.send('set', [`${prefix}listening`, '1', 'px', LIFE_MS])
  }
}

/** What is published of the jobs of a call: their types, and behind a line break their tags as JSON, `*` or nothing. */
export function encodeSubmitted(
  jobs: Iterable<{ readonly type: string; readonly tags: readonly string[] }>,
): string {
  const types = new Set<string>()
  const tags = new Set<string>()
  for (const job of jobs) {
    types.add(job.type)
    for (const tag of job.tags) tags.add(tag)
  }
  const names = [...types].join(' ')
  if (tags.size === 0) return names
  const all = JSON.stringify([...tags])
  return `${names}\n${all.length > MOST_CHARACTERS ? MANY : all}`
}

export function decodeSubmitted(message: string): Submitted {
  const [names = '', tags] = message.split('\n')
  const types = names.split(' ')
  if (tags === undefined) return { types, tags: [] }
  return { types, tags: tags === MANY ? null : JSON.parse(tags) }
}

/**
 * Tells when something is due earlier than may have been known: what this process schedules, as soon as the store has
 * answered, and what others do, as the store publishes it.
 */
export class Schedule {
  readonly #listeners = new Set<(scheduled: Scheduled) => void>()

  listen(listener: (scheduled: Scheduled) => void): Unsubscribe {
    // A function of its own, so that the same listener may be given twice.
    const entry = (scheduled: Scheduled) => listener(scheduled)
    this.#listeners.add(entry)
    return () => this.#listeners.delete(entry)
  }

  submitted(submitted: readonly NewJob[], { jobs, replayed }: SubmitReceipt): void {
    if (replayed) return
    let inMs = Infinity
    for (const [index, { status, createdAt }] of jobs.entries()) {
      const when = submitted[index]?.when
      if (status !== 'scheduled' || when === undefined) continue
      // Both times are of the store's clock.
      inMs = Math.min(inMs, 'runAt' in when ? when.runAt - Date.parse(createdAt) : when.delayMs)
    }
    this.#tell(inMs, true)
  }

  settled(settlements: readonly Settlement[], verdicts: readonly SettleVerdict[]): void {
    let inMs = Infinity
    for (const [index, { outcome }] of settlements.entries()) {
      if ('delayMs' in outcome && verdicts[index] === 'scheduled') inMs = Math.min(inMs, outcome.delayMs)
    }
    this.#tell(inMs, true)
  }

  /** `message`: in how many ms. */
  heard(message: string): void {
    this.#tell(Number(message), false)
  }

  #tell(inMs: number, isOwn: boolean): void {
    if (!Number.isFinite(inMs)) return
    for (const listener of [...this.#listeners]) listener({ inMs: Math.max(0, inMs), isOwn })
  }
}
