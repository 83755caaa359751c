/**
 * Submits jobs and watches them, from a browser or from Node, Bun and Deno.
 *
 * @module
 */
export type { ListAnswer, OverviewAnswer, SubmitAnswer, TypeInfo, TypesAnswer } from '../shared/api.ts'
export type { JobEvent } from '../shared/event.ts'
export type { Job, JobSummary, QueuePlace } from '../shared/job.ts'
export type {
  InputOf,
  JobId,
  JobOf,
  JobType,
  JobTypes,
  OutputOf,
  ResultByStatus,
  ResultOf,
} from '../shared/job-type.ts'
export type { SubmitOptions } from '../shared/options.ts'
export { isTerminal, type JobStatus } from '../shared/status.ts'
export {
  type ClientOptions,
  createClient,
  type JobcastClient,
  type JobsQuery,
  type RunCall,
  type Submission,
  type SubmitCall,
  type SubmittedJob,
} from './client.ts'
export type { ConnectionState } from './connection.ts'
export { type InputError, JobcastError, type JobcastErrorCode } from './errors.ts'
export type { Missed, WatchEvent } from './history.ts'
export type { ListQuery, ListState, ListWatch } from './list-watch.ts'
export type { Readable } from './store.ts'
export type { TransportName } from './transports/link.ts'
export type { SocketConstructor } from './transports/socket.ts'
export type { JobWatch, KnownJob, WatchOptions, WatchState } from './watch.ts'
