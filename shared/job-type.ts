import type { Job } from './job.ts'
import type { JobStatus } from './status.ts'

/**
 * What the declaration of a job type says of its jobs, as types. Nothing of it is there at run time, so a browser that
 * names `typeof jobs` loads neither handlers nor schemas.
 */

/**
 * A job type as types know it: every `defineJob` makes one. `input` is what its submitters send, `output` what its handler gets
 * of that, `result` what its completed jobs have, as JSON.
 */
export interface JobType {
  readonly type: string
  /** Of types only; it is never there. */
  readonly '~job'?: { readonly input: unknown; readonly output: unknown; readonly result: unknown }
}

/** What a submitter of the type sends. */
export type InputOf<J> = J extends { readonly '~job'?: { readonly input: infer Input } } ? Input : never

/** What the handler of the type gets: the payload as its schema makes it. */
export type OutputOf<J> = J extends { readonly '~job'?: { readonly output: infer Output } } ? Output : never

/** What a completed job of the type has. */
export type ResultOf<J> = J extends { readonly '~job'?: { readonly result: infer Result } } ? Result : never

/** The result is there where the job completed, and only there. */
export type ResultByStatus<Result, Status extends string> =
  | { readonly status: Extract<Status, 'completed'>; readonly result: Result }
  | { readonly status: Exclude<Status, 'completed'>; readonly result: null }

/** A job of the type, as every transport shows it; of several, one of any. `status` tells whether it has a result. */
export type JobOf<J extends JobType> = J extends JobType
  ? string extends J['type']
    ? Job
    : Omit<Job, 'type' | 'payload' | 'status' | 'result'> & {
        readonly type: J['type']
        readonly payload: Jsonified<InputOf<J>>
      } & ResultByStatus<ResultOf<J>, JobStatus>
  : never

/** The id of a job, which may remember the name of its type; any string is one. */
export type JobId<Name extends string = string> = string & { readonly '~type'?: Name }

/** What the jobs of an app are given as: a list of definitions, or an object of them such as `typeof import('./jobs.ts')`. */
export type JobTypes = readonly JobType[] | Readonly<Record<string, unknown>>

/** The job types among them, each by its name. */
export type JobsByName<Jobs> = {
  [J in Extract<Jobs extends readonly unknown[] ? Jobs[number] : Jobs[keyof Jobs], JobType> as J['type']]: J
}

/** What is left of a value once it went over the wire as JSON: of a `Date` its text. */
export type Jsonified<T> = unknown extends T
  ? T
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends { toJSON(): infer Json }
      ? Jsonified<Json>
      : T extends object
        ? { [Key in keyof T]: Jsonified<T[Key]> }
        : never
