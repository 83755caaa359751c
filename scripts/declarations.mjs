// Writes the declarations of dist/shared anew, in plain TypeScript: as they are inferred from zod's schemas, everybody who
// uses the package would need zod, of the version that it was built with. And takes away those that no user comes upon.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const FOLDER = join('dist', 'shared')
const ALIAS = /^export type (\w+) = ([\s\S]+?);\n(?=\/\*\*|export |declare |interface |import |type |$)/gm
const INFERRED = /^z\.infer<typeof (\w+)>$/
const VALUES = /^Readonly<ValuesOf<typeof (\w+)>>$/
const MARKED = /^Marked<typeof (\w+), \{\s*readonly (\w+): true;?\s*\}>$/
const JSON_TYPE = 'type Json = string | number | boolean | null | Json[] | {\n    [key: string]: Json;\n};\n'

const modules = []
for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.d.ts'))) {
  const text = readFileSync(join(FOLDER, file), 'utf8')
  if (!/ from ['"]zod['"]/.test(text)) continue
  const name = file.replace('.d.ts', '')
  const { href } = pathToFileURL(resolve(FOLDER, `${name}.js`))
  modules.push({ name, text, values: await import(href) })
}

/** The schemas that a type is inferred from, and of which module it is. */
const named = new Map()
/** What the tables say of their fields. */
const tables = []
for (const { name, text, values } of modules) {
  for (const [, type, definition] of text.matchAll(ALIAS)) {
    const [, schema] = INFERRED.exec(definition) ?? []
    if (schema !== undefined) named.set(values[schema], { type, module: name })
  }
  tables.push(...Object.values(values).filter(isTable))
}

for (const module of modules) {
  const imports = new Map()
  const types = [...module.text.matchAll(ALIAS)].map(([, type, definition]) => {
    const printed = print(definition, { module, type, imports })
    return `${commentOf(module.text, type)}export type ${type} = ${printed};\n`
  })
  const head = [...imports].map(
    ([from, names]) => `import type { ${[...names].sort().join(', ')} } from './${from}.ts';\n`,
  )
  const body = types.join('')
  const json = /\bJson\b/.test(body) ? JSON_TYPE : ''
  // Nothing that is loaded from dist/client needs the schemas themselves; dist/server has them in its bundle.
  for (const ending of ['js', 'js.map', 'd.ts']) rmSync(join(FOLDER, `${module.name}.${ending}`))
  if (types.length > 0) writeFileSync(join(FOLDER, `${module.name}.d.ts`), `${head.join('')}${json}${body}`)
}

const reached = new Set()
const { exports: entries, dependencies, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
for (const { types } of Object.values(entries)) if (types !== undefined) reach(join(types))
for (const file of readdirSync('dist', { recursive: true })) {
  const path = join('dist', file)
  if (file.endsWith('.d.ts') && !reached.has(path)) rmSync(path)
}

/** Follows what a declaration imports, which must be there wherever the package is installed. */
function reach(path) {
  if (reached.has(path)) return
  reached.add(path)
  const text = readFileSync(path, 'utf8')
  for (const [, name] of text.matchAll(/^(?:import|export) .*?from ['"]([^'"]+)['"]/gm)) {
    if (name.startsWith('.')) reach(join(dirname(path), name.replace(/\.(?:tsx?|js)$/, '.d.ts')))
    else if (!name.startsWith('node:') && !(name in { ...dependencies, ...peerDependencies }))
      throw new Error(`${path} imports ${name}, which nobody has who installs the package`)
  }
}

function print(definition, context) {
  const { values } = context.module
  const [, schema] = INFERRED.exec(definition) ?? []
  if (schema !== undefined) return printSchema(values[schema], context, '', true)
  const [, table] = VALUES.exec(definition) ?? []
  if (table !== undefined) return `Readonly<${printFields(shapeOf(values[table]), context, '')}>`
  const [, rows, mark] = MARKED.exec(definition) ?? []
  if (rows !== undefined)
    return printChoices(Object.keys(values[rows]).filter((row) => values[rows][row][mark]))
  if (!/\btypeof\b|\bz\./.test(definition)) return definition
  throw new Error(`declarations.mjs does not know how to write: ${definition}`)
}

function printSchema(schema, context, indent, isRoot = false) {
  const known = named.get(schema)
  if (known !== undefined && !isRoot) return refer(known, context)
  const { def } = schema._zod
  const inner = (one) => printSchema(one, context, indent)
  switch (def.type) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return def.type
    case 'literal':
      return printChoices(def.values)
    case 'enum':
      return printChoices(Object.values(def.entries))
    case 'nullable':
      return `${inner(def.innerType)} | null`
    case 'optional':
      return `${inner(def.innerType)} | undefined`
    case 'array':
      return listOf(inner(def.element))
    case 'record':
      return `Record<${inner(def.keyType)}, ${inner(def.valueType)}>`
    case 'union':
      return [...new Set(def.options.map(inner))].join(' | ')
    case 'tuple':
      return `[${def.items.map(inner).join(', ')}]`
    case 'intersection':
      return [def.left, def.right].map((side) => bracketed(inner(side))).join(' & ')
    case 'object':
      return printFields(def.shape, context, indent)
    // Of zod's own, the one that refers to itself.
    case 'lazy':
      return 'Json'
    default:
      throw new Error(`declarations.mjs does not know zod's ${def.type}`)
  }
}

function printFields(shape, context, indent) {
  const within = `${indent}    `
  const fields = Object.entries(shape).map(([name, schema]) => {
    const about = aboutOf(name, schema)
    const comment = about === undefined ? '' : `${within}/** ${about[0].toUpperCase()}${about.slice(1)}. */\n`
    const mark = schema._zod.optout === 'optional' ? '?' : ''
    return `${comment}${within}${name}${mark}: ${printSchema(schema, context, within)};\n`
  })
  return `{\n${fields.join('')}${indent}}`
}

/** What the tables say of the field; other fields of the same name have other schemas. */
function aboutOf(name, schema) {
  const { def } = schema._zod
  const rows = tables.flatMap((table) => table[name] ?? [])
  const own = rows.filter(
    (row) => [schema, def.innerType].includes(row.option ?? row.schema) || row.schema === schema,
  )
  const { usual } = own.find((row) => row.usual !== undefined) ?? {}
  // What may be left out is an option.
  const isTold = def.type === 'optional' && ['number', 'string'].includes(typeof usual)
  return own.length > 0 && isTold
    ? `${own[0].about}; \`${usual}\` where nothing says otherwise`
    : own[0]?.about
}

function printChoices(values) {
  return values.map((value) => JSON.stringify(value)).join(' | ') || 'never'
}

function listOf(element) {
  return /^\w+$/.test(element) ? `${element}[]` : `(${element})[]`
}

function refer({ type, module }, context) {
  if (module !== context.module.name) {
    const names = context.imports.get(module) ?? new Set()
    context.imports.set(module, names.add(type))
  }
  return type
}

/** What stands right above the type, or above the schema that it is inferred from. */
function commentOf(text, type) {
  const at = text.search(new RegExp(`^export (?:declare const|type) ${type}\\b`, 'm'))
  const above = text.slice(0, at)
  return above.endsWith('*/\n') ? above.slice(above.lastIndexOf('/**')) : ''
}

function isTable(value) {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).some((row) => row?.schema && row.about)
  )
}

function shapeOf(table) {
  return Object.fromEntries(Object.entries(table).map(([name, { schema }]) => [name, schema]))
}

function bracketed(type) {
  return / \| (?![^{]*\})/.test(type) ? `(${type})` : type
}
