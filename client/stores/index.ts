/**
 * The state behind the hooks, for any framework: stores of Svelte as they are.
 *
 * @module
 */
export {
  createJobStore,
  type JobControls,
  type JobHandle,
  type JobListeners,
  type JobState,
  type JobStoreOptions,
  type StartOptions,
} from './job-store.ts'
export { createJobsStore, type JobsHandle, type JobsState, type ListedJob } from './jobs-store.ts'
