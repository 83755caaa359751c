import type { Engine, Presence } from '../engine/engine.ts'
import { isOutage } from '../engine/errors.ts'
import type { Events } from '../events.ts'

/** Between two looks at what there is to say, in ms. */
const LOOK_MS = 2000
/**
 * For how long what is said holds: a process that is silent that long is no longer listed. And after how long it is said again, a
 * little earlier than a look, where it is as before. Who has nothing new to say says it less often.
 */
const NEWS = { ttlMs: 10_000, repeatMs: 7000 }
const AS_BEFORE = {
  // Jobs of its types wait in vain meanwhile, and nobody is told so.
  worker: { ttlMs: 15_000, repeatMs: 11_000 },
  gateway: { ttlMs: 26_000, repeatMs: 21_000 },
}

type Announcer = Pick<Engine, 'announce' | 'withdraw'>

/**
 * Tells the other processes that the parts of this one are alive and how busy they are: within two seconds of a change, and
 * otherwise from time to time.
 */
export class PresenceBoard {
  readonly #engine: Announcer
  readonly #events: Events
  readonly #describe: () => readonly Presence[]
  /** What was said last by id, and until when (on `performance.now()`) it need not be said again. */
  readonly #said = new Map<string, { readonly text: string; readonly until: number }>()
  #state: { is: 'stopped' } | { is: 'running'; timer: NodeJS.Timeout } = { is: 'stopped' }

  constructor(options: { engine: Announcer; events: Events; describe: () => readonly Presence[] }) {
    this.#engine = options.engine
    this.#events = options.events
    this.#describe = options.describe
  }

  async start(): Promise<void> {
    if (this.#state.is === 'running') return
    this.#state = { is: 'running', timer: setInterval(() => void this.#announce(), LOOK_MS) }
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
      await Promise.all(this.#describe().map((presence) => this.#announceOne(presence)))
    } catch (error) {
      // While the store is away nobody could read it either; what did not arrive is said again in two seconds.
      if (!isOutage(error)) this.#events.emit('failure', { where: 'presence', error })
    }
  }

  async #announceOne(presence: Presence): Promise<void> {
    const text = JSON.stringify(presence)
    const at = performance.now()
    const said = this.#said.get(presence.id)
    const isNews = said?.text !== text
    if (!isNews && at < said.until) return
    const { ttlMs, repeatMs } = isNews ? NEWS : AS_BEFORE[presence.role]
    await this.#engine.announce({ ...presence, ttlMs })
    this.#said.set(presence.id, { text, until: at + repeatMs })
  }
}
