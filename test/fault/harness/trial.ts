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
  readonly passed: boolean
}

declare module 'vitest' {
  interface TaskMeta {
    trials?: Trial[]
  }
}
