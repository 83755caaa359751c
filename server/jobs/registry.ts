import { TypeName } from '../../shared/api.ts'
import type { RunPolicy } from '../../shared/options.ts'
import type { Engine, Json, JsonSchema, TypeRegistration } from '../engine/engine.ts'
import { type Awaitable, type CheckedValue, checkValue, type Issue } from './check-value.ts'
import { type JobDefinition, policyOf } from './define-job.ts'
import { jsonSchemaOf } from './json-schema.ts'
import { nearestNames } from './nearest.ts'
import { compileCheck, type PayloadCheck, takesAny } from './payload-check.ts'

/** A job type as a submission needs it. */
export interface KnownType {
  readonly type: string
  readonly policy: RunPolicy
  /**
   * Issues with paths relative to the payload. Where this process does not have the schema itself, those that its JSON Schema can tell.
   * Throws, or rejects with, `SchemaFailed`, at the latest after two seconds.
   */
  check(payload: Json): Awaitable<readonly Issue[]>
}

/** What a type takes and gives, where its schemas tell. */
export type TypeSchemas = Required<Pick<TypeRegistration, 'type' | 'payloadSchema' | 'resultSchema'>>

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
 * that workers elsewhere have registered in it (their payload is then held to the JSON Schema that they told, and by the worker
 * that runs it to the schema itself).
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
  readonly #foreign = new Map<string, ForeignType>()
  #registrations: readonly TypeRegistration[] | null = null
  /** Null where types have changed since they were listed. */
  #schemas: readonly TypeSchemas[] | null = null
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
  registrations(): readonly TypeRegistration[] {
    this.#registrations ??= [...this.definitions.values()].map((definition) => ({
      type: definition.type,
      policy: policyOf(definition, this.#retainMs),
      payloadSchema: jsonSchemaOf(definition.payload, 'input'),
      resultSchema: jsonSchemaOf(definition.result, 'output'),
    }))
    return this.#registrations
  }

  /**
   * Of every type that may be submitted, by name; the same array as long as none changes. Never rejects: while the store is away, of
   * those that are known.
   */
  async schemas(): Promise<readonly TypeSchemas[]> {
    if (this.#isShared) await this.#refreshWhereOld().catch(() => {})
    if (this.#schemas !== null) return this.#schemas
    const known = new Map<string, TypeRegistration>(this.#foreign)
    for (const registration of this.registrations()) known.set(registration.type, registration)
    this.#schemas = [...known.values()]
      .map(({ type, payloadSchema, resultSchema = null }) => ({ type, payloadSchema, resultSchema }))
      .sort((one, other) => (one.type < other.type ? -1 : 1))
    return this.#schemas
  }

  /** Null for an unknown type. Rejects with `Unavailable` where only the store could tell. */
  find(type: string): Awaitable<KnownType | null> {
    const local = this.#local.get(type)
    if (local !== undefined) return local
    // On the embedded engine nobody else could ever run it, whatever an earlier version of this process knew.
    if (!this.#isShared || !TypeName.safeParse(type).success) return null
    return this.#findForeign(type)
  }

  /** Known types whose names are like this one, as after a slip of the fingers: up to three, the most like it first. */
  nearest(name: string): string[] {
    return nearestNames(name, [...this.#local.keys(), ...this.#foreign.keys()])
  }

  async #findForeign(type: string): Promise<KnownType | null> {
    await this.#refreshWhereOld()
    return this.#foreign.get(type) ?? null
  }

  get #isShared(): boolean {
    return this.#engine.kind !== 'sqlite'
  }

  async #refreshWhereOld(): Promise<void> {
    if (performance.now() - this.#refreshed > REFRESH_MS) await this.#refresh()
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
      const before = this.#foreign.get(type)
      const text = JSON.stringify(registration)
      if (registration !== null && before?.text !== text)
        this.#foreign.set(type, toForeign(registration, text))
      else if (isOutdated) this.#foreign.delete(type)
      if (this.#foreign.get(type) !== before) this.#schemas = null
    }
    this.#refreshed = performance.now()
  }
}

/** What another process has registered, with the JSON of that. */
type ForeignType = KnownType & TypeRegistration & { readonly text: string }

function toForeign(registration: TypeRegistration, text: string): ForeignType {
  // An older version described its schemas without regard for what they accept all the same.
  const schema = registration.resultSchema === undefined ? null : registration.payloadSchema
  return { ...registration, text, check: checkBy(schema) }
}

/** By JSON Schema, which is compiled for the first payload. */
function checkBy(schema: JsonSchema | null): KnownType['check'] {
  if (schema === null) return takesAny
  let check: PayloadCheck | undefined
  let compiling: Promise<PayloadCheck> | undefined
  return (payload) => {
    if (check !== undefined) return check(payload)
    compiling ??= compileCheck(schema)
    return compiling.then((compiled) => {
      check = compiled
      return compiled(payload)
    })
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
