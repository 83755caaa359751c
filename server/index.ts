/** What a module of job definitions (`JOBCAST_JOBS`) imports. */
export { defineJob, type JobContext, type JobDefinition, UnrecoverableError } from './jobs/define-job.ts'
