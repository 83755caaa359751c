import type { Ajv2020, ErrorObject } from 'ajv/dist/2020.js'
import {
  type Finding,
  fitsNone,
  MISSING,
  mustBeAtLeast,
  mustBeAtMost,
  mustBeFormat,
  mustBeMultiple,
  mustBeOf,
  mustBeOne,
  mustHave,
  mustMatch,
  UNKNOWN_FIELD,
} from '../../shared/words.ts'
import type { Json, JsonSchema } from '../engine/engine.ts'
import type { Issue } from './check-value.ts'

/**
 * Holds payloads to the JSON Schema of a type whose own schema is in another process. It refuses nothing that the type would accept,
 * so it asks less than JSON Schema does; whatever it lets through, the worker checks in full.
 */

export type PayloadCheck = (payload: Json) => readonly Issue[]

/** What takes any payload: of a type without a schema, or with one that cannot be read. */
export const takesAny: PayloadCheck = () => []

/** Never rejects. The library, and what it makes of a schema, cost nothing before somebody submits such a job. */
export async function compileCheck(schema: JsonSchema): Promise<PayloadCheck> {
  try {
    loading ??= loadAjv()
    const ajv = await loading
    const validate = compileAlone(ajv, schema)
    return (payload) => {
      try {
        if (validate(payload)) return []
        const issues = issuesOf((validate.errors ?? []).slice(0, MOST_ERRORS))
        validate.errors = null
        return issues
      } catch {
        // Such as a stack that a recursive schema has filled.
        return []
      }
    }
  } catch {
    // It refers to what is elsewhere, is no schema, or the process may not make code of text.
    return takesAny
  }
}

/** It remembers schemas by their objects, of which each version of a type has another one, and by names that others may have. */
function compileAlone(ajv: Ajv2020, schema: JsonSchema) {
  try {
    return ajv.compile(schema)
  } finally {
    ajv.removeSchema(schema)
  }
}

let loading: Promise<Ajv2020> | undefined

/**
 * What is not looked at: what would refuse the more the less is asked inside of it, what no library that describes its schemas
 * says, and `id`, which is another word for something else to ajv.
 */
const LEFT_OUT = [
  ...['not', 'if', 'then', 'else', 'contains', 'uniqueItems', 'dependentRequired', 'dependentSchemas'],
  ...['unevaluatedItems', 'unevaluatedProperties', 'id'],
]

async function loadAjv(): Promise<Ajv2020> {
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  const ajv = new Ajv2020({
    allErrors: true,
    // Each error has what its schema asks for.
    verbose: true,
    messages: false,
    strict: false,
    logger: false,
    meta: false,
    validateSchema: false,
    validateFormats: false,
    // A field may be called `constructor`.
    ownProperties: true,
    multipleOfPrecision: 6,
  })
  for (const keyword of [...LEFT_OUT, 'oneOf', 'minLength', 'pattern']) ajv.removeKeyword(keyword)
  // Forms that are told apart by what cannot be said of them here may both fit.
  ajv.addKeyword({ keyword: 'oneOf', schemaType: 'array', macro: (forms) => ({ anyOf: forms }) })
  // In code units, as libraries count: JSON Schema counts characters, which are fewer. So `maxLength` may stay as it is.
  ajv.addKeyword({
    keyword: 'minLength',
    type: 'string',
    schemaType: 'number',
    validate: (least: number, text: string) => text.length >= least,
  })
  ajv.addKeyword({ keyword: 'pattern', type: 'string', schemaType: 'string', compile: matcher })
  return ajv
}

/** A pattern that took longer on a text, in ms, backtracks: with other flags it would again. */
const SLOW_MS = 100

/**
 * Whether a text may match. JSON Schema knows no flags, so that nobody tells which ones the pattern has: every combination is tried that
 * may make a difference here, two for most texts. What is slow is tried once, and left to the worker.
 */
function matcher(pattern: string): (text: string) => boolean {
  const tried = new Map<string, RegExp | null>()
  const expressionOf = (flags: string) => {
    const known = tried.get(flags)
    if (known !== undefined) return known
    const made = expression(pattern, flags)
    tried.set(flags, made)
    return made
  }
  return (text) => {
    const since = performance.now()
    let isPattern = false
    for (const flags of flagsFor(pattern, text)) {
      const one = expressionOf(flags)
      if (one === null) continue
      isPattern = true
      if (one.test(text) || performance.now() - since > SLOW_MS) return true
    }
    return !isPattern
  }
}

/** What is another pattern with `u` or `v`, whatever the text. */
const UNICODE = /\\[pPquk]|--|&&|\[\[/

function flagsFor(pattern: string, text: string): string[] {
  const unicode = UNICODE.test(pattern) || /\P{ASCII}/u.test(text) ? ['', 'u', 'v'] : ['']
  const lines = /[\n\r\u2028\u2029]/.test(text) ? ['', 's', 'm', 'sm'] : ['']
  return unicode.flatMap((one) => lines.flatMap((other) => [one + other, `${one}${other}i`]))
}

function expression(pattern: string, flags: string): RegExp | null {
  try {
    return new RegExp(pattern, flags)
  } catch {
    return null
  }
}

/** A finding, and where in the schema stands what it breaks. */
type Placed = Finding & { readonly at: string }

/** A hostile payload can have as many as it has values. */
const MOST_ERRORS = 1000

/** What is said of forms follows what is wrong with each of them, and stands in its place. */
function issuesOf(errors: readonly ErrorObject[]): Issue[] {
  let found: Placed[] = []
  for (const error of errors) {
    if (error.keyword !== 'anyOf') {
      const finding = findingOf(error)
      if (finding !== null) found.push({ ...finding, at: error.schemaPath })
      continue
    }
    const path = pathOf(error.instancePath)
    const forms = new Map<string, Placed[]>()
    for (const one of found) {
      const form = formOf(one, error)
      if (form !== null) forms.set(form, [...(forms.get(form) ?? []), one])
    }
    const isWhole = forms.size === (Array.isArray(error.schema) ? error.schema.length : 0)
    found = found.filter((one) => formOf(one, error) === null)
    const said = fitsNone(path, isWhole ? [...forms.values()] : [])
    found.push(...said.map((one) => ({ ...one, at: error.schemaPath })))
  }
  const issues = found.map((one) => ({ ...one, path: one.path.map(String).join('.') }))
  // Values say of which type they are.
  const valued = new Set(issues.filter(({ other }) => other === 'value').map(({ path }) => path))
  return issues
    .filter(({ path, other }) => other !== 'type' || !valued.has(path))
    .map(({ path, message }) => ({ path, message }))
}

/** The form of these that it is in, by its number, or its definition; null where it is in none. */
function formOf({ at, path }: Placed, { schemaPath, instancePath }: ErrorObject): string | null {
  if (at.startsWith(`${schemaPath}/`)) return at.slice(schemaPath.length + 1).split('/')[0] ?? null
  const isWithin = pathOf(instancePath).every((name, depth) => path[depth] === name)
  return isWithin ? (/^#\/(?:\$defs|definitions)\/[^/]+/.exec(at)?.[0] ?? null) : null
}

function findingOf(error: ErrorObject): Finding | null {
  const { keyword, params, schema: asked, parentSchema } = error
  const path = pathOf(error.instancePath)
  const finding = (message: string, at = path, other: Finding['other'] = null) => ({
    path: at,
    message,
    other,
  })
  switch (keyword) {
    case 'required':
      return finding(MISSING, [...path, String(params.missingProperty)])
    case 'additionalProperties':
      return finding(UNKNOWN_FIELD, [...path, String(params.additionalProperty)])
    case 'type':
      // Some libraries take an array for an object of which nothing is required.
      if (asked === 'object' && Array.isArray(error.data) && !parentSchema?.required?.length) return null
      return finding(mustBeOf([asked].flat().map(String)), path, 'type')
    case 'enum':
      return finding(mustBeOne([asked].flat()), path, 'value')
    case 'const':
      return finding(mustBeOne([asked]), path, 'value')
    case 'pattern':
      return finding(parentSchema?.format ? mustBeFormat(parentSchema.format) : mustMatch(String(asked)))
    case 'items':
      return finding(mustHave('array', 'at most', Number(params.limit)))
    case 'false schema':
      return finding(mustBeOf(['never']))
    // `anyOf`, for which it stands, says more.
    case 'oneOf':
      return null
    default:
      return finding(BOUNDS[keyword]?.(Number(asked)) ?? 'is not valid')
  }
}

const BOUNDS: Record<string, (bound: number) => string> = {
  minLength: (least) => mustHave('string', 'at least', least),
  maxLength: (most) => mustHave('string', 'at most', most),
  minItems: (least) => mustHave('array', 'at least', least),
  maxItems: (most) => mustHave('array', 'at most', most),
  minProperties: (least) => mustHave('object', 'at least', least),
  maxProperties: (most) => mustHave('object', 'at most', most),
  minimum: (least) => mustBeAtLeast(least),
  maximum: (most) => mustBeAtMost(most),
  exclusiveMinimum: (least) => mustBeAtLeast(least, false),
  exclusiveMaximum: (most) => mustBeAtMost(most, false),
  multipleOf: mustBeMultiple,
}

/** Of a JSON Pointer (RFC 6901). */
function pathOf(pointer: string): string[] {
  const [, ...names] = pointer.split('/')
  return names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
}
