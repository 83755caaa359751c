import { isRecord, type Json } from '../common/json.tsx'

/** Schemas may refer to themselves. */
const MAX_DEPTH = 6

/**
 * A value to begin with, of the form that a JSON Schema (2020-12) asks for: what it gives as default, example, constant or
 * first choice, else the emptiest that there is. Objects have what is required, and what has a default.
 */
export function exampleOf(schema: Json | undefined, root: Json | undefined = schema, depth = 0): Json {
  if (!isRecord(schema) || depth > MAX_DEPTH) return null
  const [given] = [schema.default, schema.const, first(schema.examples), first(schema.enum)].filter(isGiven)
  if (given !== undefined) return given
  const further = referred(schema, root) ?? first(schema.anyOf) ?? first(schema.oneOf) ?? first(schema.allOf)
  if (further !== undefined) return exampleOf(further, root, depth + 1)
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'string':
      return ''
    case 'integer':
    case 'number':
      return typeof schema.minimum === 'number' ? schema.minimum : 0
    case 'boolean':
      return false
    case 'array':
      return typeof schema.minItems === 'number' && schema.minItems > 0
        ? [exampleOf(schema.items, root, depth + 1)]
        : []
    case 'object':
      return fieldsOf(schema, root, depth)
    default:
      return null
  }
}

function fieldsOf(schema: { readonly [key: string]: Json }, root: Json | undefined, depth: number): Json {
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  const properties = isRecord(schema.properties) ? Object.entries(schema.properties) : []
  const shown = properties.filter(
    ([name, one]) => required.has(name) || (isRecord(one) && isGiven(one.default)),
  )
  return Object.fromEntries(shown.map(([name, one]) => [name, exampleOf(one, root, depth + 1)]))
}

/** What a `$ref` within the same document leads to. */
function referred({ $ref }: { readonly [key: string]: Json }, root: Json | undefined): Json | undefined {
  if (typeof $ref !== 'string' || !$ref.startsWith('#')) return undefined
  const names = $ref.split('/').slice(1)
  return names.reduce<Json | undefined>((at, name) => (isRecord(at) ? at[name] : undefined), root)
}

function first(list: Json | undefined): Json | undefined {
  return Array.isArray(list) ? list[0] : undefined
}

function isGiven(value: Json | undefined): value is Json {
  return value !== undefined
}
