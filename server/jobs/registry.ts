import { TypeName } from '../../shared/api.ts'
import type { RunPolicy } from '../../shared/options.ts'
import type { Engine, Json, TypeRegistration } from '../engine/engine.ts'
import { type Awaitable, type CheckedValue, checkValue, type Issue } from './check-value.ts'
import { type JobDefinition, payloadSchemaOf, policyOf } from './define-job.ts'

/** A job type as a submission needs it. */
export interface KnownType {
  readonly type: string
  readonly policy: RunPolicy
  /**
   * Issues with paths relative to the payload; none where this process does not have the schema itself. Throws, or
   * rejects with, `SchemaFailed`, at the latest after two seconds.
   */
  check(payload: Json): Awaitable<readonly Issue[]>
}

/** Names that differ by more are no slip of the fingers. */
const MAX_SLIPS = 3
const MAX_NAME = 64

/** What a payload's schema has to answer, in ms. */
const SCHEMA_MS = 2000

/** A schema threw, rejected, answered with what is no result (`cause` says what), or did not answer in time. */
export class SchemaFailed extends Error {
  override readonly name = 'SchemaFailed'
  readonly isLate: boolean

  constructor(type: string, failure: { readonly isLate: boolean; readonly cause?: unknown }) {
    const what = failure.isLate ? `has not answered within ${SCHEMA_MS} ms` : 'failed'
    super(`the payload schema of type ${type} ${what}`, { cause: failure.cause })
    this.isLate = failure.isLate
  }
}

/** How long what other processes registered is believed, in ms. */
const REFRESH_MS = 2000

/**
 * The job types that may be submitted: those defined in this process, and, where other processes share the store, those
 * that workers elsewhere have registered in it (their payload is then checked by the worker that runs it).
 */
export class TypeRegistry {
  readonly definitions: ReadonlyMap<string, JobDefinition>
  readonly #engine: Engine
  readonly #retainMs: number
  readonly #local: ReadonlyMap<string, KnownType>
  /**
   * A store that was wiped learns them again from the workers, and no job is refused until then: so they are forgotten only
   * where it says that they are outdated.
   */
  readonly #foreign = new Map<string, KnownType>()
  #refreshed = Number.NEGATIVE_INFINITY
  #refreshing: Promise<void> | null = null

  /** Throws a `TypeError` where two definitions share a name. */
  constructor(engine: Engine, definitions: readonly JobDefinition[], retainMs: number) {
    const byType = new Map<string, JobDefinition>()
    for (const definition of definitions) {
      if (byType.has(definition.type)) throw new TypeError(`job type "${definition.type}" is defined twice`)
      byType.set(definition.type, definition)
    }
    this.definitions = byType
    this.#engine = engine
    this.#retainMs = retainMs
    this.#local = new Map(definitions.map((definition) => [definition.type, toKnown(definition, retainMs)]))
  }

  /** What this process tells the store about its types. */
  registrations(): TypeRegistration[] {
    return [...this.definitions.values()].map((definition) => ({
      type: definition.type,
      policy: policyOf(definition, this.#retainMs),
      payloadSchema: payloadSchemaOf(definition),
    }))
  }

  /** Null for an unknown type. Rejects with `Unavailable` where only the store could tell. */
  find(type: string): Awaitable<KnownType | null> {
    const local = this.#local.get(type)
    if (local !== undefined) return local
    // On the embedded engine nobody else could ever run it, whatever an earlier version of this process knew.
    if (this.#engine.kind === 'sqlite' || !TypeName.safeParse(type).success) return null
    return this.#findForeign(type)
  }

  /** The known type whose name is most like this one, as after a slip of the fingers; null where none is. */
  nearest(name: string): string | null {
    if (name.length > MAX_NAME) return null
    let nearest: string | null = null
    let least = Math.max(1, Math.min(MAX_SLIPS, Math.floor(name.length / 3))) + 1
    for (const known of [...this.#local.keys(), ...this.#foreign.keys()]) {
      const slips = slipsBetween(name.toLowerCase(), known)
      if (slips >= least) continue
      nearest = known
      least = slips
    }
    return nearest
  }

  async #findForeign(type: string): Promise<KnownType | null> {
    if (performance.now() - this.#refreshed > REFRESH_MS) await this.#refresh()
    return this.#foreign.get(type) ?? null
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#load().finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  async #load(): Promise<void> {
    const states = await this.#engine.types()
    for (const { type, registration, isOutdated } of states) {
      if (registration !== null)
        this.#foreign.set(type, { type, policy: registration.policy, check: () => [] })
      else if (isOutdated) this.#foreign.delete(type)
    }
    this.#refreshed = performance.now()
  }
}

function toKnown(definition: JobDefinition, retainMs: number): KnownType {
  return {
    type: definition.type,
    policy: policyOf(definition, retainMs),
    check(payload) {
      let checked: Awaitable<CheckedValue>
      try {
        checked = checkValue(definition.payload, payload)
      } catch (cause) {
        throw new SchemaFailed(definition.type, { isLate: false, cause })
      }
      return checked instanceof Promise ? inTime(definition.type, checked).then(issuesOf) : issuesOf(checked)
    },
  }
}

/** Characters to be added, left out or replaced to make the one name of the other (Levenshtein's distance). */
function slipsBetween(one: string, other: string): number {
  let last = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let row = 1; row <= one.length; row += 1) {
    const next = [row]
    for (let at = 1; at <= other.length; at += 1) {
      const replaced = (last[at - 1] ?? 0) + (one[row - 1] === other[at - 1] ? 0 : 1)
      next.push(Math.min(replaced, (last[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1))
    }
    last = next
  }
  return last[other.length] ?? 0
}

function inTime(type: string, checking: Promise<CheckedValue>): Promise<CheckedValue> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new SchemaFailed(type, { isLate: true })), SCHEMA_MS)
    checking
      .finally(() => clearTimeout(timer))
      .then(resolve, (cause: unknown) => reject(new SchemaFailed(type, { isLate: false, cause })))
  })
}

function issuesOf(checked: CheckedValue): readonly Issue[] {
  return checked.ok ? [] : checked.issues
}
