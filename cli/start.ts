import { existsSync } from 'node:fs'
import { findJobsFile } from '../server/project.ts'
import { namesJobs, setVariables } from './environment.ts'
import { CommandError } from './terminal.ts'

export interface StartFlags {
  readonly port?: string
  readonly host?: string
  readonly env?: readonly string[]
}

/** Becomes the server of `npm start`, with everything that its environment says. */
export async function start(named: readonly string[], flags: StartFlags): Promise<void> {
  for (const file of flags.env ?? []) {
    if (!existsSync(file)) throw new CommandError(`--env ${file}: there is no such file`, { exitCode: 2 })
    process.loadEnvFile(file)
  }
  const files =
    named.length > 0 ? named : namesJobs() ? [] : [findJobsFile('.')].flatMap((file) => file ?? [])
  if (files.length === 0 && !namesJobs())
    throw new CommandError(
      'there is no jobs file here: name yours, as in npx jobcast start path/to/jobs.ts, or set JOBCAST_JOBS',
      { exitCode: 2 },
    )
  setVariables({
    ...(files.length > 0 && { JOBCAST_JOBS: files.join(',') }),
    ...(flags.port !== undefined && { PORT: flags.port }),
    ...(flags.host !== undefined && { HOST: flags.host }),
  })
  await import(new URL('../server/main.js', import.meta.url).href)
}
