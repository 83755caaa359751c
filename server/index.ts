/** What a module of job definitions (`JOBCAST_JOBS`) imports. */
export type { InputOf, JobOf, OutputOf, ResultOf } from '../shared/job-type.ts'
export { defineJob, type JobContext, type JobDefinition, type RunnableJob } from './jobs/define-job.ts'
export { UnrecoverableError } from './jobs/errors.ts'
