'use client'
/**
 * Hooks and a progress bar for React 18 and 19.
 *
 * @module
 */
export type { JobControls, JobListeners, JobState, StartOptions } from '../stores/job-store.ts'
export type { ListedJob } from '../stores/jobs-store.ts'
export {
  type UseJob,
  type UseJobOptions,
  type UseJobs,
  type UseResource,
  type UseSubmitJob,
  useConnection,
  useJob,
  useJobs,
  useOverview,
  useSubmitJob,
  useTypes,
} from './hooks.ts'
export { JobProgress, type JobProgressProps, type ShownJob } from './job-progress.tsx'
export { JobcastProvider, type JobcastProviderProps, useClient } from './provider.ts'
