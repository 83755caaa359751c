/**
 * Declares jobs, and serves them within a program of your own. Importing it is light: the server is loaded once one is started.
 *
 * @module
 */
export type { InputOf, JobOf, OutputOf, ResultOf } from '../shared/job-type.ts'
export type { Authorize, Authorized, JobTokenScope } from './auth/auth.ts'
export type { Settings, Store } from './config.ts'
export {
  createJobClient,
  createJobServer,
  type JobClientOptions,
  type JobServer,
  type JobServerOptions,
} from './job-server.ts'
export { defineJob, type JobContext, type JobDefinition, type RunnableJob } from './jobs/define-job.ts'
export { UnrecoverableError } from './jobs/errors.ts'
export type { Logger } from './log.ts'
