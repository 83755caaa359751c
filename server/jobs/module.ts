import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import type { JobDefinition } from './define-job.ts'

/** Modules of the user's: those with job definitions, and those that isolated handlers are. Loads no library by itself. */

/** What a module exports, by name. */
export type Exports = Readonly<Record<string, unknown>>

/** Written in what no Node, or not every one, runs as it stands. */
const TRANSFORMED = /\.(?:[cm]?tsx?|jsx)$/

/** Whether what runs of a file is not what stands in it: lines are the same then, columns are not. */
export function isTransformed(file: string): boolean {
  return TRANSFORMED.test(file)
}

/** What an import may leave out, in the order in which it is looked for. */
const ENDINGS = ['.ts', '.tsx', '.mts', '.cts', '.js', '.jsx', '.mjs', '.cjs']
/** A module of these may be found where the file is TypeScript to Node: by a bare name, as a folder, through `paths`. */
const UNRESOLVED = ['ERR_MODULE_NOT_FOUND', 'ERR_UNSUPPORTED_DIR_IMPORT', 'ERR_UNKNOWN_FILE_EXTENSION']

/**
 * Imports the module at a URL. One in TypeScript may do on every Node what it may in a bundler: import without an extension,
 * through `paths` of its tsconfig.json, and have enums and decorators. One in JavaScript is Node's own affair, and is
 * taken likewise only where Node does not find what it imports.
 */
export async function importModule(href: string): Promise<Exports> {
  const url = new URL(href)
  if (url.protocol !== 'file:') return import(href)
  const file = sourceFile(fileURLToPath(url))
  if (isTransformed(file)) return importTransformed(file)
  try {
    return await import(href)
  } catch (error) {
    if (!UNRESOLVED.includes(codeOf(error))) throw error
    // Nothing of a graph has run in which something is not found.
    return importTransformed(file).catch((again: unknown) => {
      throw codeOf(again) === 'MODULE_NOT_FOUND' ? error : again
    })
  }
}

/** The URL of a module that is named by a URL, or by a path from the working directory. */
export function moduleHref(module: URL | string): string {
  if (module instanceof URL) return module.href
  return !isAbsolute(module) && URL.canParse(module) ? module : pathToFileURL(resolve(module)).href
}

/** The file that an import of the path means: itself, or the one that it would be compiled from. */
export function sourceFile(path: string): string {
  if (existsSync(path)) return path
  const bare = path.replace(/\.[cm]?jsx?$/, '')
  return ENDINGS.map((ending) => bare + ending).find((file) => existsSync(file)) ?? path
}

/**
 * What a module exports as job definitions: a default export that is an array, else an array named `jobs`, else every
 * exported definition; null where there is none of them. Not checked yet.
 */
export function definitionsIn(module: Exports): readonly unknown[] | null {
  const { default: main } = module
  // TypeScript that was compiled to CommonJS exports all under one name.
  const exported = isObject(main) && '__esModule' in main ? main : module
  // What CommonJS exports is the default; Node sees not every name of it from outside.
  const places = [exported, exported.default].filter(isObject)
  for (const { default: all, jobs } of places) {
    const found = [all, jobs].find(Array.isArray)
    if (found !== undefined) return found
  }
  const definitions = new Set(places.flatMap((place) => Object.values(place)).filter(isDefinition))
  return definitions.size === 0 ? null : [...definitions]
}

/** Where each definition was loaded from: a thread cannot be handed it, but can load it there. */
const modules = new WeakMap<JobDefinition, string>()

export function rememberModule(definition: JobDefinition, href: string): void {
  modules.set(definition, href)
}

/** URL of the module that has the definition; null where it was not loaded from a jobs file. */
export function moduleOf(definition: JobDefinition): string | null {
  return modules.get(definition) ?? null
}

function isDefinition(value: unknown): boolean {
  if (!isObject(value) || typeof value.type !== 'string') return false
  return typeof value.run === 'function' || value.isolate !== undefined
}

function isObject(value: unknown): value is Exports {
  return typeof value === 'object' && value !== null
}

function codeOf(error: unknown): string {
  return isObject(error) && typeof error.code === 'string' ? error.code : ''
}

async function importTransformed(file: string): Promise<Exports> {
  const { createJiti } = await import('jiti')
  const jiti = createJiti(pathToFileURL(file).href, {
    tsconfigPaths: true,
    alias: aliasesNear(dirname(file)),
    // The module itself, not a mixture of it and its default export.
    interopDefault: false,
    jsx: true,
    // Two copies of it would not know each other's classes.
    nativeModules: ['jobcast'],
    // It says which side of a bundle a module is for, and throws anywhere else.
    virtualModules: { 'server-only': {} },
  })
  return jiti.import(file)
}

/** Projects of Vite, and those in JavaScript, have their `paths` where the transformer does not look for them. */
function aliasesNear(folder: string): Record<string, string> {
  for (const name of ['tsconfig.app.json', 'jsconfig.json']) {
    const file = join(folder, name)
    if (!existsSync(file)) continue
    const { baseUrl = '.', paths = {} } = compilerOptionsOf(file)
    const aliases = Object.entries(paths).map(([pattern, [target = '']]) => [
      pattern.replace(/\/\*$/, ''),
      resolve(folder, baseUrl, target.replace(/\/\*$/, '')),
    ])
    return Object.fromEntries(aliases)
  }
  const isProject = existsSync(join(folder, 'package.json')) || dirname(folder) === folder
  return isProject ? {} : aliasesNear(dirname(folder))
}

interface CompilerOptions {
  readonly baseUrl?: string
  readonly paths?: Readonly<Record<string, readonly string[]>>
}

/** As JavaScript, since it may have comments and commas that JSON has not. */
function compilerOptionsOf(file: string): CompilerOptions {
  const read: { compilerOptions?: CompilerOptions } = runInNewContext(
    `(${readFileSync(file, 'utf8')})`,
    {},
    file,
  )
  return read.compilerOptions ?? {}
}
