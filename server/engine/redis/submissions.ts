import type { Submitted, Unsubscribe } from '../engine.ts'
import { decodeSubmitted } from './announcement.ts'
import type { Channels } from './channels.ts'
import type { Commands } from './commands.ts'
import { type Partition, submittedChannel } from './keys.ts'

/** How long a store goes on announcing without being asked again, and how often it is, in ms. */
const LIFE_MS = 30_000
const RENEW_MS = 10_000

type Listener = (submitted: Submitted) => void

/**
 * What the store tells of new jobs. It tells nothing unless somebody has said, not long ago, that he listens: a
 * message costs about a twelfth of a submission.
 *
 * Modes: nobody listens; somebody does, and a timer renews what says so.
 */
export class Submissions {
  readonly #commands: Commands
  readonly #channels: Channels
  readonly #partitions: readonly Partition[]
  readonly #listeners = new Set<Listener>()
  #renewal: NodeJS.Timeout | null = null

  constructor(commands: Commands, channels: Channels, partitions: readonly Partition[]) {
    this.#commands = commands
    this.#channels = channels
    this.#partitions = partitions
  }

  /** Calls back with what is submitted from when the promise resolves. Rejects with `Unavailable`. */
  async listen(listener: Listener): Promise<Unsubscribe> {
    // A function of its own, so that the same listener may be given twice.
    const entry: Listener = (submitted) => listener(submitted)
    const offs: Unsubscribe[] = []
    const stop = () => {
      for (const off of offs.splice(0)) off()
      this.#listeners.delete(entry)
      if (this.#listeners.size === 0) this.stop()
    }
    this.#listeners.add(entry)
    this.#renewal ??= setInterval(() => this.renew(), RENEW_MS)
    try {
      for (const partition of this.#partitions) {
        const channel = submittedChannel(partition)
        offs.push(await this.#channels.listen(channel, (message) => entry(decodeSubmitted(message))))
      }
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
    if (this.#listeners.size > 0) this.#ask().catch(() => undefined)
  }

  stop(): void {
    if (this.#renewal !== null) clearInterval(this.#renewal)
    this.#renewal = null
  }

  async #ask(): Promise<void> {
    for (const { prefix } of this.#partitions) {
      await this.#commands.send('set', [`${prefix}listening`, '1', 'px', LIFE_MS])
    }
  }
}
