import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ConfigError } from './config.ts'
import { checkDefinition, type JobDefinition } from './jobs/define-job.ts'
import {
  definitionsIn,
  type Exports,
  importModule,
  moduleHref,
  rememberModule,
  sourceFile,
} from './jobs/module.ts'
import { findJobsFile, JOBS_FOLDERS, packageManagerOf } from './project.ts'
import { inSource, isOwn, withoutOwn } from './source-maps.ts'
import { errorText, isThrown, readThrown, type Thrown } from './thrown.ts'

/** A module that loads for longer than this is told of, in ms: it may wait for what never comes. */
const PATIENCE_MS = 10_000
/** What another Node gets to report wrong syntax, in ms. */
const REPORT_MS = 5000

/** A place in a file, counted from 1; the column is null where nobody knows it. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number | null
}

/** A jobs file that cannot be used; the message is one line that begins with the place, or with the file. */
export class JobsFileError extends ConfigError {
  readonly place: Place | null
  /** What is wrong, without the place. */
  readonly problem: string

  constructor(path: string, problem: string, place: Place | null) {
    const where = place === null ? null : shownPlace(place)
    const isElsewhere = place !== null && place.file !== resolve(path)
    super(`${where === null ? path : isElsewhere ? `${path}: ${where}` : where}: ${problem}`)
    this.place = place
    this.problem = problem
  }
}

/** The job types that the files at these paths define, in order. Rejects with `JobsFileError`. */
export async function loadJobs(paths: readonly string[]): Promise<JobDefinition[]> {
  const byType = new Map<string, { readonly definition: JobDefinition; readonly path: string }>()
  for (const path of paths) {
    for (const definition of await loadFile(path)) {
      const other = byType.get(definition.type)
      if (other?.definition === definition) continue
      if (other !== undefined) throw definedTwice(definition.type, other.path, path)
      byType.set(definition.type, { definition, path })
    }
  }
  return [...byType.values()].map(({ definition }) => definition)
}

/** A place as it is told: relative to the working directory where it is within. */
function shownPlace({ file, line, column }: Place): string {
  return `${shownPath(file)}:${line}${column === null ? '' : `:${column}`}`
}

function shownPath(file: string): string {
  const within = relative(process.cwd(), file)
  return within.startsWith('..') || isAbsolute(within) ? file : within
}

async function loadFile(path: string): Promise<JobDefinition[]> {
  const file = sourceFile(resolve(path))
  if (!existsSync(file)) throw new JobsFileError(path, `there is no such file${hint(path)}`, null)
  const { href } = pathToFileURL(file)
  const module = await loaded(importModule(href), path).catch((error: unknown) => {
    throw explain(error, path, file)
  })
  return definitionsOf(module, path).map((exported, index) => {
    try {
      const definition = checkDefinition(exported)
      checkIsolated(definition)
      rememberModule(definition, href)
      return definition
    } catch (error) {
      const { message } = readThrown(error)
      const problem = isNothing(exported)
        ? `job ${index + 1} of its array is ${exported}: is what it imports spelled right, and not importing this file in turn?`
        : message
      throw new JobsFileError(path, problem, placesOfType(file, Object(exported).type)[0] ?? null)
    }
  })
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null
}

function definitionsOf(module: Exports, path: string): readonly unknown[] {
  const definitions = definitionsIn(module)
  if (definitions !== null) return definitions
  const names = Object.keys(module)
  const misnamed = ['default', 'jobs'].find((name) => names.includes(name))
  let what =
    names.length === 0 ? 'it exports no job' : `none of what it exports (${names.join(', ')}) is a job`
  if (misnamed !== undefined)
    what = `${misnamed === 'default' ? 'the default export' : '"jobs"'} must be an array of job definitions`
  throw new JobsFileError(path, `${what}: write export const jobs = [defineJob({ type, run }), …]`, null)
}

/** The address of a thread's module is looked at only when a job runs, which is late to learn that it is wrong. */
function checkIsolated({ type, isolate }: JobDefinition): void {
  if (isolate === undefined) return
  const href = moduleHref(isolate)
  if (!href.startsWith('file:')) return
  const file = fileURLToPath(href)
  if (existsSync(sourceFile(file))) return
  throw new TypeError(`job definition "${type}": isolate: there is no such file: ${shownPath(file)}`)
}

function definedTwice(type: string, one: string, other: string): JobsFileError {
  const [first, second] = [...new Set([one, other])].flatMap((path) => {
    const places = placesOfType(sourceFile(resolve(path)), type).map(shownPlace)
    return places.length === 0 ? [path] : one === other ? places : places.slice(0, 1)
  })
  const where = second === undefined ? 'name each once' : `by ${first} and by ${second}; rename one of them`
  return new JobsFileError(other, `job type "${type}" is defined twice: ${where}`, null)
}

/** Where a type's name stands in the file that exports it. */
function placesOfType(file: string, type: unknown): Place[] {
  if (typeof type !== 'string') return []
  const lines = readFileSync(file, 'utf8').split('\n')
  const spellings = ["'", '"', '`'].map((quote) => quote + type + quote)
  return lines.flatMap((line, row) => {
    const isNamed = /\btype\b/.test(line) && spellings.some((spelling) => line.includes(spelling))
    return isNamed ? [{ file, line: row + 1, column: null }] : []
  })
}

/** The file that a wrong path may have been meant to be. */
function hint(path: string): string {
  const name = basename(path, extname(path))
  const folders = [dirname(path), ...JOBS_FOLDERS]
  const alike = folders.flatMap((folder) =>
    ['.ts', '.mts', '.js', '.mjs'].map((ending) => join(folder, name + ending)),
  )
  const meant = alike.find((file) => existsSync(file)) ?? findJobsFile('.')
  return meant === null ? '' : `; did you mean ${meant.split(sep).join('/')}?`
}

/**
 * Rejects where a module waits for what can never come: nothing is left then that could happen in this process, and Node
 * would end it without a word.
 */
async function loaded<T>(loading: Promise<T>, path: string): Promise<T> {
  const tellLate = () =>
    process.stderr.write(
      `jobcast: ${path}: still loads after ${PATIENCE_MS / 1000} s: it, or what it imports, awaits something\n`,
    )
  const late = setTimeout(tellLate, PATIENCE_MS).unref()
  let giveUp = () => {}
  const nothingLeft = new Promise<never>((_, reject) => {
    giveUp = () => reject(new Error('it, or what it imports, awaits something that never comes'))
    process.once('beforeExit', giveUp)
  })
  try {
    return await Promise.race([loading, nothingLeft])
  } finally {
    clearTimeout(late)
    process.off('beforeExit', giveUp)
  }
}

/** Where in the user's modules it went wrong, and the message's first line. */
function explain(error: unknown, path: string, file: string): JobsFileError {
  const thrown = readThrown(error, 'it')
  const parse = PARSE_ERROR.exec(thrown.message)
  if (parse !== null) {
    const [, problem = '', at = '', line, column] = parse
    return new JobsFileError(path, problem.trim(), { file: at, line: Number(line), column: Number(column) })
  }
  const location =
    reportedLocation(error, pathToFileURL(file).href) ?? importingLocation(thrown) ?? throwingLocation(thrown)
  const [line = ''] = errorText(thrown).split('\n')
  return new JobsFileError(path, missingPackage(thrown, file) ?? line, location)
}

/** What the transformer of TypeScript says of wrong syntax. */
const PARSE_ERROR = /^ParseError: (.*)\s+(\S.*):(\d+):(\d+)$/s

/** Of a package that is not there, how it is had. */
function missingPackage({ message }: Thrown, file: string): string | null {
  const [, specifier] = /^Cannot find (?:package|module) '([^']+)'/.exec(message) ?? []
  if (specifier === undefined || /^(?:[./~#]|@\/|[A-Za-z]:)/.test(specifier)) return null
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  return `the package ${name} is not installed: ${packageManagerOf(dirname(file)).install(name)}`
}

/** Where Node itself says it is: of wrong syntax the error alone does not tell. */
function reportedLocation(error: unknown, href: string): Place | null {
  if (!isThrown(error, SyntaxError)) return null
  return locationInReport(error.stack ?? '') ?? locationInReport(reportOf(href))
}

/** A report of Node begins with file and line, the line itself, and a mark below its column. */
function locationInReport(report: string): Place | null {
  const [, file, row, mark] =
    /^((?:file:\/\/|\/|[A-Za-z]:\\).*):(\d+)\n.*\n( *\^)?/.exec(report.trimStart()) ?? []
  return file === undefined
    ? null
    : { file: pathOf(file), line: Number(row), column: mark === undefined ? null : mark.length }
}

/** What Node says where it loads the module by itself; nothing of a graph runs in which the syntax of one is wrong. */
function reportOf(href: string): string {
  const args = ['--input-type=module', '--eval', `import ${JSON.stringify(href)}`]
  const options = { encoding: 'utf8', timeout: REPORT_MS } as const
  return spawnSync(process.execPath, [...process.execArgv, ...args], options).stderr
}

/** Of a module that is not there it is said who imports it, but not the line. */
function importingLocation({ message }: Thrown): Place | null {
  const [, missing = '', importer] =
    /'(.+)' imported from (.+)$/m.exec(message) ?? /'(.+)'\nRequire stack:\n- (.+)/.exec(message) ?? []
  if (importer === undefined) return null
  const file = pathOf(importer)
  if (!existsSync(file)) return null
  const name = basename(missing)
  const lines = readFileSync(file, 'utf8').split('\n')
  const row = lines.findIndex((line) => /\b(?:import|from|require)\b/.test(line) && line.includes(name))
  return row < 0 ? null : { file, line: row + 1, column: null }
}

/** The frame that comes first and is none of this package, nor of what transforms for it. */
function throwingLocation({ frames }: Thrown): Place | null {
  const others = withoutOwn(frames)
    .split('\n')
    .filter((frame) => !TRANSFORMER.test(frame))
    .join('\n')
  if (isOwn(others)) return null
  const [, file, line, column] =
    /^ {4}at (?:async )?(?:.*\()?((?:file:\/\/|\/|[A-Za-z]:\\).*?):(\d+)(?::(\d+))?\)?$/m.exec(
      inSource(others),
    ) ?? []
  return file === undefined ? null : placeOf(pathOf(file), line, column)
}

function placeOf(file: string, line: string | undefined, column: string | undefined): Place {
  return { file, line: Number(line), column: column === undefined ? null : Number(column) }
}

const TRANSFORMER = /[\\/]node_modules[\\/]jiti[\\/]/

function pathOf(location: string): string {
  return location.startsWith('file://') ? fileURLToPath(location) : location
}
