import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ConfigError } from './config.ts'
import { checkDefinition, type JobDefinition } from './jobs/define-job.ts'
import { inSource, isOwn, withoutOwn } from './source-maps.ts'
import { errorText, isThrown, readThrown, type Thrown } from './thrown.ts'

/** A module that loads for longer than this is told of, in ms: it may wait for what never comes. */
const PATIENCE_MS = 10_000
/** What another Node gets to report wrong syntax, in ms. */
const REPORT_MS = 5000

/** The job types of the module that `path` names; none where it names none. Throws `ConfigError` in one line. */
export async function loadJobs(path: string | null): Promise<JobDefinition[]> {
  if (path === null) return []
  const file = resolve(path)
  try {
    await access(file)
  } catch {
    throw new ConfigError(`JOBCAST_JOBS ${path}: there is no such file`)
  }
  const { href } = addressOfJobs(path)
  try {
    const module: { default?: unknown } = await loaded(import(href), path)
    if (!Array.isArray(module.default))
      throw new TypeError('the default export must be an array of job definitions')
    return distinct(module.default.map(checkDefinition))
  } catch (error) {
    throw new ConfigError(`JOBCAST_JOBS ${path}: ${explain(error, href)}`)
  }
}

/**
 * Rejects where a module waits for what can never come: nothing is left then that could happen in this process, and Node
 * would end it without a word.
 */
async function loaded<T>(loading: Promise<T>, path: string): Promise<T> {
  const tellLate = () =>
    process.stderr.write(
      `jobcast: JOBCAST_JOBS ${path}: still loads after ${PATIENCE_MS / 1000} s: it, or what it imports, awaits something\n`,
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

/** Where the module at a path of the configuration is loaded from. */
export function addressOfJobs(path: string): URL {
  return pathToFileURL(resolve(path))
}

function distinct(definitions: JobDefinition[]): JobDefinition[] {
  const seen = new Set<string>()
  for (const { type } of definitions) {
    if (seen.has(type)) throw new TypeError(`job type "${type}" is defined twice`)
    seen.add(type)
  }
  return definitions
}

/** Where in the user's modules it went wrong, and the message's first line. */
function explain(error: unknown, href: string): string {
  const thrown = readThrown(error, 'it')
  const [line = ''] = errorText(thrown).split('\n')
  const location = reportedLocation(error, href) ?? importingLocation(thrown) ?? throwingLocation(thrown)
  return location === null ? line : `${location}: ${line}`
}

/** Where Node itself says it is: of wrong syntax the error alone does not tell. */
function reportedLocation(error: unknown, href: string): string | null {
  if (!isThrown(error, SyntaxError)) return null
  return locationInReport(error.stack ?? '') ?? locationInReport(reportOf(href))
}

/** A report of Node begins with file and line, the line itself, and a mark below its column. */
function locationInReport(report: string): string | null {
  const [, file, row, mark] =
    /^((?:file:\/\/|\/|[A-Za-z]:\\).*):(\d+)\n.*\n( *\^)?/.exec(report.trimStart()) ?? []
  if (file === undefined) return null
  return `${pathOf(file)}:${row}${mark === undefined ? '' : `:${mark.length}`}`
}

/** What Node says where it loads the module by itself; nothing of a graph runs in which the syntax of one is wrong. */
function reportOf(href: string): string {
  const args = ['--input-type=module', '--eval', `import ${JSON.stringify(href)}`]
  const options = { encoding: 'utf8', timeout: REPORT_MS } as const
  return spawnSync(process.execPath, [...process.execArgv, ...args], options).stderr
}

/** Of a module that is not there Node names who imports it, but not the line. */
function importingLocation({ message }: Thrown): string | null {
  const [, missing = '', file] = /'(.+)' imported from (.+)$/.exec(message) ?? []
  if (file === undefined || !existsSync(file)) return null
  const name = basename(missing)
  const lines = readFileSync(file, 'utf8').split('\n')
  const row = lines.findIndex((line) => /\b(?:import|from|require)\b/.test(line) && line.includes(name))
  return row < 0 ? null : `${file}:${row + 1}`
}

/** The frame that comes first and is none of this package. */
function throwingLocation({ frames }: Thrown): string | null {
  const others = withoutOwn(frames)
  if (isOwn(others)) return null
  const [, location] =
    /^ {4}at (?:async )?(?:.*\()?((?:file:\/\/|\/|[A-Za-z]:\\).*:\d+:\d+)\)?$/m.exec(inSource(others)) ?? []
  return location === undefined ? null : pathOf(location)
}

function pathOf(location: string): string {
  return location.startsWith('file://') ? fileURLToPath(location) : location
}
