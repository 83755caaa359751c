/** What a module of job definitions (`JOBCAST_JOBS`) imports. */
export { defineJob, type JobContext, type JobDefinition } from './jobs/define-job.ts'
export { UnrecoverableError } from './jobs/errors.ts'
