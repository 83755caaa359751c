import type { RunPolicy } from '../../shared/api.ts'
import type { Engine, Json, TypeRegistration } from '../engine/engine.ts'
import { checkValue, type Issue, type JobDefinition, payloadSchemaOf, policyOf } from './define-job.ts'

/** A job type as a submission needs it. */
export interface KnownType {
  readonly type: string
  readonly policy: RunPolicy
  /** Issues with paths relative to the payload; none where this process does not have the schema itself. */
  check(payload: Json): Promise<Issue[]>
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
  #foreign = new Map<string, KnownType>()
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
  async find(type: string): Promise<KnownType | null> {
    const definition = this.definitions.get(type)
    if (definition !== undefined) return this.#local(definition)
    if (performance.now() - this.#refreshed > REFRESH_MS) await this.#refresh()
    return this.#foreign.get(type) ?? null
  }

  #local(definition: JobDefinition): KnownType {
    return {
      type: definition.type,
      policy: policyOf(definition, this.#retainMs),
      check: async (payload) => {
        const checked = await checkValue(definition.payload, payload)
        return checked.ok ? [] : checked.issues
      },
    }
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#load().finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  async #load(): Promise<void> {
    const states = await this.#engine.types()
    this.#foreign = new Map(
      states.flatMap(({ type, registration }) =>
        registration === null ? [] : [[type, { type, policy: registration.policy, check: async () => [] }]],
      ),
    )
    this.#refreshed = performance.now()
  }
}
