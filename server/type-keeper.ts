import type { Engine, TypeRegistration } from './engine/engine.ts'
import { OutcomeUnknown, Unavailable } from './engine/errors.ts'
import type { Events } from './events.ts'

const EVERY_MS = 5000
/** What the store knows it believes for 30 days: a process that lives says it again in good time. */
const SAY_AGAIN_MS = 24 * 60 * 60 * 1000

type TypeStore = Pick<Engine, 'types' | 'registerTypes'>

type State = { readonly is: 'stopped' } | { readonly is: 'running'; readonly timer: NodeJS.Timeout }

/**
 * Registers the job types of this process again where the store has forgotten them: it was wiped, or came back empty.
 * Otherwise whoever knows them from the store alone would refuse their jobs until some worker is started. What the store
 * does know is left alone for a day: another version of this process may have registered it later.
 */
export class TypeKeeper {
  readonly #engine: TypeStore
  readonly #events: Events
  readonly #registrations: readonly TypeRegistration[]
  readonly #look = () => void this.check()
  /** On `performance.now()`: when all of them were registered, as they are before this is made. */
  #saidAt = performance.now()
  #state: State = { is: 'stopped' }

  constructor(options: { engine: TypeStore; events: Events; registrations: readonly TypeRegistration[] }) {
    this.#engine = options.engine
    this.#events = options.events
    this.#registrations = options.registrations
  }

  start(): void {
    if (this.#state.is === 'running') return
    this.#state = { is: 'running', timer: setInterval(this.#look, EVERY_MS) }
    // A store that was away may have come back empty.
    this.#events.on('store.up', this.#look)
  }

  stop(): void {
    if (this.#state.is === 'running') clearInterval(this.#state.timer)
    this.#events.off('store.up', this.#look)
    this.#state = { is: 'stopped' }
  }

  /** Never rejects. */
  async check(): Promise<void> {
    try {
      const states = await this.#engine.types()
      const known = new Set(states.flatMap(({ type, registration }) => (registration === null ? [] : [type])))
      const now = performance.now()
      const isDue = now - this.#saidAt > SAY_AGAIN_MS
      const wanted = isDue ? this.#registrations : this.#registrations.filter(({ type }) => !known.has(type))
      if (wanted.length > 0) await this.#engine.registerTypes(wanted)
      if (isDue) this.#saidAt = now
    } catch (error) {
      // A store that is away forgets nothing meanwhile.
      if (!(error instanceof Unavailable || error instanceof OutcomeUnknown))
        this.#events.emit('failure', { where: 'registering types', error })
    }
  }
}
