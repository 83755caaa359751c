import { WorkerTypes } from '../../shared/pace.ts'
import type { Engine, Presence, TypeRegistration, TypeState } from '../engine/engine.ts'
import { isOutage } from '../engine/errors.ts'
import type { Events } from '../events.ts'

/**
 * Between two looks for jobs that nobody runs, in ms. The first comes soon, since it is by a deploy that a type is lost; so
 * does a second one that confirms what a look has found.
 */
const LOOK_MS = 180_000
const FIRST_LOOK_MS = 5000
const CONFIRM_MS = 5000
/** After a look that failed. */
const RETRY_MS = 1000
/** What the store knows it believes for 30 days: a process that lives says it again in good time. */
const SAY_AGAIN_MS = 24 * 60 * 60 * 1000

type TypeStore = Pick<Engine, 'types' | 'hasQueued' | 'registerTypes' | 'presences'>

type State = { readonly is: 'stopped' } | { readonly is: 'running'; readonly timer: NodeJS.Timeout }

/**
 * Registers the job types of this process again where the store has forgotten them: it was wiped, or came back empty, which
 * its engine tells as a store that is up (again). Otherwise whoever knows them from the store alone would refuse their jobs until
 * some worker is started. What the store does know is left alone for a day: another version of this process may have
 * registered it later.
 *
 * And tells of types whose jobs wait while nobody runs them, once two looks find them so: a worker that is started again is
 * away for a moment. All types are looked at only where some job is queued at all.
 */
export class TypeKeeper {
  readonly #engine: TypeStore
  readonly #events: Events
  readonly #registrations: readonly TypeRegistration[]
  /** Those that this very process runs. */
  readonly #runs: ReadonlySet<string>
  readonly #look = () => void this.check()
  readonly #glance = () => void this.#lookWhereNeeded()
  /** That nobody ran, as of the last look, and those of them that were told of. */
  #unserved: ReadonlySet<string> = new Set()
  #told: ReadonlySet<string> = new Set()
  /** On `performance.now()`: when all of them were registered, as they are before this is made. */
  #saidAt = performance.now()
  #state: State = { is: 'stopped' }

  /** `runs`: whether this process runs what it registers. */
  constructor(options: {
    engine: TypeStore
    events: Events
    registrations: readonly TypeRegistration[]
    runs: boolean
  }) {
    this.#engine = options.engine
    this.#events = options.events
    this.#registrations = options.registrations
    this.#runs = new Set(options.runs ? options.registrations.map(({ type }) => type) : [])
  }

  start(): void {
    if (this.#state.is === 'running') return
    this.#state = { is: 'running', timer: setTimeout(this.#glance, FIRST_LOOK_MS) }
    this.#events.on('store.up', this.#look)
  }

  stop(): void {
    if (this.#state.is === 'running') clearTimeout(this.#state.timer)
    this.#events.off('store.up', this.#look)
    this.#state = { is: 'stopped' }
  }

  /** Never rejects. While the keeper runs, a look that fails is made again. */
  async check(): Promise<void> {
    try {
      const states = await this.#engine.types()
      const known = new Set(states.flatMap(({ type, registration }) => (registration === null ? [] : [type])))
      const wanted = this.#isDue()
        ? this.#registrations
        : this.#registrations.filter(({ type }) => !known.has(type))
      const now = performance.now()
      if (wanted.length > 0) await this.#engine.registerTypes(wanted)
      if (this.#isDue()) this.#saidAt = now
      await this.#tellUnserved(states)
      this.#lookIn(this.#unserved.size > this.#told.size ? CONFIRM_MS : LOOK_MS, this.#glance)
    } catch (error) {
      this.#note(error)
      this.#lookIn(RETRY_MS, this.#look)
    }
  }

  async #lookWhereNeeded(): Promise<void> {
    try {
      const isNeeded = this.#unserved.size > 0 || this.#isDue() || (await this.#engine.hasQueued())
      if (isNeeded) await this.check()
      else this.#lookIn(LOOK_MS, this.#glance)
    } catch (error) {
      this.#note(error)
      this.#lookIn(RETRY_MS, this.#glance)
    }
  }

  #lookIn(ms: number, look: () => void): void {
    if (this.#state.is === 'stopped') return
    clearTimeout(this.#state.timer)
    this.#state = { is: 'running', timer: setTimeout(look, ms) }
  }

  /** Whether it is time to say all of them again. */
  #isDue(): boolean {
    return performance.now() - this.#saidAt > SAY_AGAIN_MS
  }

  #note(error: unknown): void {
    // A store that is away forgets nothing meanwhile.
    if (isOutage(error)) return
    this.#events.emit('failure', { where: 'registering types', error })
  }

  /** Who lives is asked for only where there is something that this process does not run. */
  async #tellUnserved(states: readonly TypeState[]): Promise<void> {
    const elsewhere = states.filter(({ type, counts }) => counts.queued > 0 && !this.#runs.has(type))
    const unserved = elsewhere.length === 0 ? [] : unservedTypes(elsewhere, await this.#engine.presences())
    const lasting = unserved.filter(({ type }) => this.#unserved.has(type))
    const news = lasting.filter(({ type }) => !this.#told.has(type))
    this.#unserved = new Set(unserved.map(({ type }) => type))
    this.#told = new Set(lasting.map(({ type }) => type))
    if (news.length > 0) this.#events.emit('types.unserved', { types: news })
  }
}

/** A type whose jobs wait though it is not paused, since no live worker runs it: as after a deploy without it. */
export interface UnservedType {
  readonly type: string
  readonly queued: number
}

/** Of each type that live workers run, how many do. */
export function workersByType(presences: readonly Presence[]): Map<string, number> {
  const workers = new Map<string, number>()
  for (const { role, info } of presences) {
    const announced = role === 'worker' ? WorkerTypes.safeParse(info) : undefined
    for (const type of announced?.data?.types ?? []) workers.set(type, (workers.get(type) ?? 0) + 1)
  }
  return workers
}

export function unservedTypes(
  states: readonly TypeState[],
  presences: readonly Presence[],
): readonly UnservedType[] {
  const waiting = states.filter(({ counts, paused }) => counts.queued > 0 && !paused)
  if (waiting.length === 0) return []
  const workers = workersByType(presences)
  return waiting
    .filter(({ type }) => !workers.has(type))
    .map(({ type, counts }) => ({ type, queued: counts.queued }))
}

/** A sentence for whoever runs it. */
export function unservedWarning({ type, queued }: UnservedType): string {
  return `${queued === 1 ? '1 job' : `${queued} jobs`} of type ${type} wait${queued === 1 ? 's' : ''}, and no live worker runs it`
}
