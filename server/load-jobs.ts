import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from './config.ts'
import { checkDefinition, type JobDefinition } from './jobs/define-job.ts'
import { shippedJobs } from './jobs/index.ts'

/** The job types that ship and, where `path` names a module, the user's own. Throws `ConfigError` in one line. */
export async function loadJobs(path: string | null): Promise<JobDefinition[]> {
  if (path === null) return [...shippedJobs]
  const file = resolve(path)
  try {
    await access(file)
  } catch {
    throw new ConfigError(`JOBCAST_JOBS ${path}: there is no such file`)
  }
  try {
    const module: { default?: unknown } = await import(pathToFileURL(file).href)
    if (!Array.isArray(module.default))
      throw new TypeError('the default export must be an array of job definitions')
    return distinct([...shippedJobs, ...module.default.map(checkDefinition)])
  } catch (error) {
    throw new ConfigError(`JOBCAST_JOBS ${path}: ${firstLine(error)}`)
  }
}

function distinct(definitions: JobDefinition[]): JobDefinition[] {
  const seen = new Set<string>()
  for (const { type } of definitions) {
    if (seen.has(type)) throw new TypeError(`job type "${type}" is defined twice`)
    seen.add(type)
  }
  return definitions
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n', 1)[0] ?? ''
}
