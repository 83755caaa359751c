import type { Json, JsonSchema } from '../engine/engine.ts'
import type { TypeSchemas } from '../jobs/registry.ts'

/**
 * What the types of the user bring into the description: components for what each takes and gives, and a submission that is one
 * of them by its `type`. What is odd in a schema stays its own: the document holds whatever it says.
 */

type Components = Record<string, Json>

/** The part of a description that is changed. */
interface Document {
  readonly paths: Readonly<Record<string, unknown>>
  readonly components: { readonly schemas: Components }
}

/** Where a submission of any type is described, which those of the known ones replace. */
const OPEN = '#/components/schemas/SubmitBody'
const OF_ONE = '/api/jobs'

export function addTypes({ paths, components: { schemas } }: Document, types: readonly TypeSchemas[]): void {
  if (types.length === 0) return
  const names = new Names(Object.keys(schemas))
  const submission = names.take('Submission')
  const knownJob = names.take('KnownJob')
  const submissions: Record<string, string> = {}
  const jobs: Record<string, string> = {}
  for (const { type, payloadSchema, resultSchema } of types) {
    const name = names.takeAll(pascal(type), ['Payload', 'Result', 'Submission', 'Job'])
    const about = (what: string) => ({ description: `${what} of type \`${type}\`` })
    Object.assign(schemas, embedded(`${name}Payload`, payloadSchema ?? about('Any payload'), names))
    Object.assign(schemas, embedded(`${name}Result`, resultSchema ?? about('Any result'), names))
    schemas[`${name}Submission`] = {
      ...about('A job'),
      type: 'object',
      properties: {
        type: { type: 'string', const: type },
        payload: { $ref: addressOf(`${name}Payload`) },
        options: { $ref: addressOf('SubmitOptions') },
      },
      required: ['type', 'payload'],
      additionalProperties: false,
    }
    schemas[`${name}Job`] = {
      ...about('A job'),
      allOf: [
        { $ref: addressOf('Job') },
        {
          type: 'object',
          properties: {
            type: { type: 'string', const: type },
            payload: { $ref: addressOf(`${name}Payload`) },
            // Null as long as it is not completed.
            result: { anyOf: [{ $ref: addressOf(`${name}Result`) }, { type: 'null' }] },
          },
          required: ['type', 'payload', 'result'],
        },
      ],
    }
    submissions[type] = addressOf(`${name}Submission`)
    jobs[type] = addressOf(`${name}Job`)
  }
  schemas[submission] = byType('A submission of a known type', submissions)
  schemas[knownJob] = byType('A job of a known type', jobs)
  replaceRef(paths[OF_ONE], addressOf(submission))
  replaceRef(schemas.BatchBody, addressOf(submission))
}

function byType(description: string, mapping: Record<string, string>): Json {
  const forms = Object.values(mapping).map(($ref) => ({ $ref }))
  return { description, oneOf: forms, discriminator: { propertyName: 'type', mapping } }
}

function addressOf(name: string): string {
  return `#/components/schemas/${name}`
}

/** `word-count` is `WordCount`. */
function pascal(type: string): string {
  return type
    .replace(/(?:^|[^a-z0-9]+)([a-z0-9])/g, (_all, first: string) => first.toUpperCase())
    .replace(/\W|_/g, '')
}

/** Names of components, each given once. */
class Names {
  readonly #taken: Set<string>

  constructor(taken: readonly string[]) {
    this.#taken = new Set(taken)
  }

  take(wanted: string): string {
    return this.takeAll(wanted, [''])
  }

  /** A name that is free with all of these endings, numbered where the wanted one is not. */
  takeAll(wanted: string, endings: readonly string[]): string {
    let name = wanted
    for (let count = 2; endings.some((ending) => this.#taken.has(name + ending)); count++)
      name = `${wanted}${count}`
    for (const ending of endings) this.#taken.add(name + ending)
    return name
  }
}

/** A schema as a component of this name, with one more for each of its definitions. */
function embedded(name: string, schema: JsonSchema, names: Names): Components {
  try {
    const { $defs, definitions, ...root } = schema
    const defs = Object.entries({ ...asObject(definitions), ...asObject($defs) })
    const taken = new Map(defs.map(([def]) => [def, names.take(`${name}_${def.replace(/[^\w.-]/g, '_')}`)]))
    const move = (reference: string) => moved(reference, name, taken)
    return {
      [name]: within(root, move),
      ...Object.fromEntries(defs.map(([def, inner]) => [taken.get(def) ?? def, within(inner, move)])),
    }
  } catch {
    // Such as one that is nested too deeply.
    return { [name]: { description: 'A schema that cannot be shown' } }
  }
}

/** Where a reference within a schema leads in the document; null where it leads nowhere, or elsewhere. */
function moved(reference: string, name: string, defs: ReadonlyMap<string, string>): string | null {
  if (reference === '#') return addressOf(name)
  const [hash, keyword, def, ...rest] = reference.split('/')
  if (hash !== '#') return null
  if (keyword !== '$defs' && keyword !== 'definitions') return `${addressOf(name)}${reference.slice(1)}`
  const component = defs.get(
    decodeURIComponent(def ?? '')
      .replaceAll('~1', '/')
      .replaceAll('~0', '~'),
  )
  return component === undefined ? null : [addressOf(component), ...rest].join('/')
}

/** What names schemas, what is a value, and what would give the schema an address of its own. */
const MAPS = ['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions']
const VALUES = ['default', 'const', 'enum', 'examples', 'example']
const ADDRESSES = ['$schema', '$id', 'id', '$anchor', '$dynamicAnchor', '$dynamicRef']

/** A schema whose references are moved. */
function within(schema: Json, move: (reference: string) => string | null): Json {
  if (Array.isArray(schema)) return schema.map((one) => within(one, move))
  if (typeof schema !== 'object' || schema === null) return schema
  const entries = Object.entries(schema).flatMap(([keyword, value]): [string, Json][] => {
    if (VALUES.includes(keyword)) return [[keyword, value]]
    if (MAPS.includes(keyword)) {
      const inner = Object.entries(asObject(value)).map(([name, one]) => [name, within(one, move)])
      return [[keyword, Object.fromEntries(inner)]]
    }
    if (typeof value === 'string' && ADDRESSES.includes(keyword)) return []
    if (keyword !== '$ref' || typeof value !== 'string') return [[keyword, within(value, move)]]
    const address = move(value)
    return address === null ? [] : [[keyword, address]]
  })
  return Object.fromEntries(entries)
}

function asObject(value: Json | undefined): Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
}

/** Puts the address of one of several forms wherever a part of the description refers to the open one. */
function replaceRef(part: unknown, address: string): void {
  if (typeof part !== 'object' || part === null) return
  if ('$ref' in part && part.$ref === OPEN) part.$ref = address
  for (const inner of Object.values(part)) replaceRef(inner, address)
}
