import type { Engine, Presence } from './engine/engine.ts'
import { OutcomeUnknown, Unavailable } from './engine/errors.ts'
import type { Events } from './events.ts'

const EVERY_MS = 2000
/** A process that is silent this long is no longer listed. */
const TTL_MS = 10_000

type Announcer = Pick<Engine, 'announce' | 'withdraw'>

/** Tells the other processes, every two seconds, that the parts of this one are alive and how busy they are. */
export class PresenceBoard {
  readonly #engine: Announcer
  readonly #events: Events
  readonly #describe: () => readonly Presence[]
  #state: { is: 'stopped' } | { is: 'running'; timer: NodeJS.Timeout } = { is: 'stopped' }

  constructor(options: { engine: Announcer; events: Events; describe: () => readonly Presence[] }) {
    this.#engine = options.engine
    this.#events = options.events
    this.#describe = options.describe
  }

  async start(): Promise<void> {
    if (this.#state.is === 'running') return
    this.#state = { is: 'running', timer: setInterval(() => void this.#announce(), EVERY_MS) }
    await this.#announce()
  }

  async stop(): Promise<void> {
    if (this.#state.is === 'stopped') return
    clearInterval(this.#state.timer)
    this.#state = { is: 'stopped' }
    await Promise.allSettled(this.#describe().map(({ id }) => this.#engine.withdraw(id)))
  }

  async #announce(): Promise<void> {
    try {
      await Promise.all(
        this.#describe().map((presence) => this.#engine.announce({ ...presence, ttlMs: TTL_MS })),
      )
    } catch (error) {
      // While the store is away nobody could read it either; what did not arrive is said again in two seconds.
      if (!(error instanceof Unavailable || error instanceof OutcomeUnknown))
        this.#events.emit('failure', { where: 'presence', error })
    }
  }
}
