import { freePort } from '../../helpers/free-port.ts'
import type { Example } from './example.ts'

/** Starts Jobcast with the jobs file of an example, as its user does; resolves to its address. Ends with the example. */
export async function startJobcast(
  example: Example,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const port = String(await freePort())
  const command = ['node', 'node_modules/jobcast/dist/server/main.js']
  const jobs = await example.jobsFile()
  const { match } = await example.start(command, {
    env: { PORT: port, JOBCAST_JOBS: jobs, ...env },
    ready: /listening on (\S+)/,
  })
  return match[1] ?? ''
}
