import type { StandardJSONSchemaV1 } from '@standard-schema/spec'
import type { JsonSchema } from '../engine/engine.ts'

/**
 * JSON Schema of what schemas take and give, from any that follow Standard JSON Schema (zod from 4.2, arktype, valibot through
 * `toStandardJsonSchema`). That of the input promises less rather than more: whatever it refuses, the schema itself refuses as
 * well, so that a process which has nothing else may turn a payload away by it. What the libraries say beyond that, since they
 * describe a value after it was trimmed or coerced, is taken back here.
 */

const TARGET = 'draft-2020-12'

/** Every process reads those of all types again and again; a longer one is left out. In characters of its JSON. */
const MAX_SCHEMA = 64 * 1024

/** Null where the schema does not tell, or not in JSON that is short enough. Never throws. */
export function jsonSchemaOf(schema: unknown, of: 'input' | 'output'): JsonSchema | null {
  try {
    const standard = (schema as Partial<StandardJSONSchemaV1> | undefined)?.['~standard']
    const libraryOptions = standard && OPTIONS[standard.vendor]?.[of]
    const told = standard?.jsonSchema?.[of]({ target: TARGET, ...(libraryOptions && { libraryOptions }) })
    const text = JSON.stringify(told) ?? ''
    return text.startsWith('{') && text.length <= MAX_SCHEMA ? JSON.parse(text) : null
  } catch {
    return null
  }
}

/** What each library has to be told. Whoever follows the standard to the letter needs nothing. */
const OPTIONS: Record<string, Record<'input' | 'output', Record<string, unknown>>> = {
  zod: {
    input: { unrepresentable: 'any', override: loosenZod },
    output: { unrepresentable: 'any' },
  },
  valibot: {
    input: { overrideSchema: loosenValibot, overrideAction: passOverAction },
    output: { overrideSchema: ({ errors }: ValibotSchema) => (errors ? {} : undefined) },
  },
}

type Told = Record<string, unknown>

const ABOUT = ['title', 'description', 'default', 'examples', 'deprecated']

/** What describes a value without asking anything of it, and the names of `also`. */
function onlyAbout(told: Told, also: readonly string[] = []): Told {
  return Object.fromEntries(
    Object.entries(told).filter(([keyword]) => ABOUT.includes(keyword) || also.includes(keyword)),
  )
}

/** What of zod's schemas is looked at, of whichever copy of zod they are. */
interface Zod {
  readonly _zod: {
    readonly def: {
      readonly type: string
      readonly coerce?: boolean
      readonly checks?: readonly { readonly _zod: { readonly def: { readonly check: string } } }[]
      readonly shape?: Readonly<Record<string, Zod>>
      readonly items?: readonly Zod[]
      readonly valueType?: Zod
      readonly innerType?: Zod
      readonly in?: Zod
      readonly options?: readonly Zod[]
      readonly left?: Zod
      readonly right?: Zod
      readonly getter?: () => Zod
    }
  }
}

/** Changes what is told of a schema, whose parts have been gone through before it. */
function loosenZod({ zodSchema, jsonSchema: told }: { zodSchema: Zod; jsonSchema: Told }): void {
  const loosened = toldLess(zodSchema, told)
  for (const keyword of Object.keys(told)) delete told[keyword]
  Object.assign(told, loosened)
}

function toldLess(schema: Zod, told: Told): Told {
  const { def } = schema._zod
  if (takesAnything(schema)) return onlyAbout(told)
  // `trim` and its like: what comes after them is asked of another value than the one that is sent.
  if (def.checks?.some(({ _zod }) => _zod.def.check === 'overwrite')) {
    const kept = onlyAbout(told, [
      'type',
      'format',
      'items',
      'prefixItems',
      'properties',
      'additionalProperties',
    ])
    return kept.type === 'integer' ? { ...kept, type: 'number' } : kept
  }
  const less = { ...told }
  const mayLack = (name: unknown) => {
    const field = def.shape?.[String(name)] ?? def.valueType
    return field !== undefined && mayBeLeftOut(field)
  }
  if (Array.isArray(told.required)) less.required = told.required.filter((name) => !mayLack(name))
  if (def.items?.some((item) => mayBeLeftOut(item))) delete less.minItems
  // Names are text; some versions say of those of numbers that they are numbers.
  if (Object(told.propertyNames).type !== 'string') delete less.propertyNames
  // The fields that the parts know are put together, which some versions leave to whoever reads it.
  if (def.type === 'intersection' && Array.isArray(told.allOf)) less.allOf = told.allOf.map(opened)
  return less
}

function takesAnything({ _zod: { def } }: Zod): boolean {
  return def.coerce === true || def.type === 'catch' || def.in?._zod.def.type === 'transform'
}

const TAKES_NOTHING = ['any', 'unknown', 'custom', 'transform', 'undefined', 'void']
const MAX_WRAPPERS = 20

/** Whether some version of zod accepts an object without this field, though it says that it is required. */
function mayBeLeftOut(schema: Zod, wrappers = 0): boolean {
  const { def } = schema._zod
  if (takesAnything(schema) || TAKES_NOTHING.includes(def.type) || wrappers > MAX_WRAPPERS) return true
  if (def.type === 'nonoptional') return false
  const inner = def.innerType ?? def.in ?? def.getter?.()
  const parts = def.options ?? [inner, def.left].filter((one) => one !== undefined)
  return parts.some((part) => mayBeLeftOut(part, wrappers + 1))
}

function opened(part: unknown): unknown {
  const { type, additionalProperties, ...rest } = Object(part)
  if (type !== 'object') return {}
  return { type, ...rest, ...(additionalProperties !== false && { additionalProperties }) }
}

interface ValibotSchema {
  readonly valibotSchema: { readonly fallback?: unknown; readonly entries?: Readonly<Record<string, object>> }
  readonly jsonSchema: Told
  /** Why it cannot be told; undefined where it can. */
  readonly errors?: readonly string[]
}

function loosenValibot({ valibotSchema, jsonSchema, errors }: ValibotSchema): Told | undefined {
  if (errors !== undefined || 'fallback' in valibotSchema) return {}
  const { entries = {} } = valibotSchema
  const fallen = Object.keys(entries).filter((name) => 'fallback' in Object(entries[name]))
  if (fallen.length === 0) return undefined
  const required = Array.isArray(jsonSchema.required) ? jsonSchema.required : []
  const anything = Object.fromEntries(fallen.map((name) => [name, {}]))
  return {
    ...jsonSchema,
    properties: { ...Object(jsonSchema.properties), ...anything },
    required: required.filter((name) => !fallen.includes(name)),
  }
}

/** What was asked of a value before a pipe made another one of it. */
const CHANGED = Symbol('changed')

interface ValibotAction {
  readonly valibotAction: { readonly kind: string }
  readonly jsonSchema: Told & { readonly [CHANGED]?: Told }
  readonly errors?: readonly string[]
}

/** What a pipe asks after it has changed the value is not said, nor is what cannot be, such as `check`. */
function passOverAction({
  valibotAction: { kind },
  jsonSchema: told,
  errors,
}: ValibotAction): Told | undefined {
  if (kind === 'metadata') return undefined
  const before = told[CHANGED] ?? (kind === 'transformation' ? { ...told } : undefined)
  if (before !== undefined) return { ...before, [CHANGED]: before }
  return errors === undefined ? undefined : told
}
