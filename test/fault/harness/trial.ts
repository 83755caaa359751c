import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { EngineName } from './store.ts'

/** What an experiment came to. */
export interface Findings {
  readonly jobs: number
  /** Accepted, and no longer there. */
  readonly lost: number
  /** With more than one end. */
  readonly doubled: number
  /** Whose handler began more than once. */
  readonly again: number
  /** From the end of the fault until all is well; null where it never was, or where nothing had to heal. */
  readonly healMs: number | null
}

/** One experiment, for the table of a soak run. */
export interface Trial extends Findings {
  readonly fault: string
  readonly engine: EngineName
  /** How often the fault was brought about in it. */
  readonly times: number
  /** Why it failed; null where it passed. */
  readonly failure: string | null
}

/** `JOBCAST_SOAK_FILE`, set by `npm run test:soak`: a line of JSON a trial, kept when the run is cut short. */
const file = process.env.JOBCAST_SOAK_FILE ?? ''

export function noteTrial(trial: Trial): void {
  if (file !== '') appendFileSync(file, `${JSON.stringify(trial)}\n`)
}

/** Those of this soak run, and of the run that it goes on with. */
export function readTrials(): Trial[] {
  if (file === '' || !existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Trial)
}
