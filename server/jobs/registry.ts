import { type RunPolicy, TypeName } from '../../shared/api.ts'
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
 * The job types that may be submitted: those defined in this process, and those that workers elsewhere have
 * registered in the store (their payload is then checked by the worker that runs it).
 */
export class TypeRegistry {
  readonly definitions: ReadonlyMap<string, JobDefinition>
  readonly #engine: Engine
  readonly #retainMs: number
  readonly #local: ReadonlyMap<string, KnownType>
  /** Never forgotten: a store that was wiped learns them again from the workers, and no job is refused until then. */
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
    return this.#local.get(type) ?? (TypeName.safeParse(type).success ? this.#findForeign(type) : null)
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
    for (const { type, registration } of states) {
      if (registration !== null)
        this.#foreign.set(type, { type, policy: registration.policy, check: () => [] })
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
