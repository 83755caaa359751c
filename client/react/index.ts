export type { StartOptions } from '../stores/job-store.ts'
export type { ListedJob } from '../stores/jobs-store.ts'
export {
  JobcastProvider,
  type JobcastProviderProps,
  type UseJob,
  type UseJobOptions,
  type UseJobs,
  type UseResource,
  type UseSubmitJob,
  useClient,
  useConnection,
  useJob,
  useJobs,
  useOverview,
  useSubmitJob,
  useTypes,
} from './hooks.ts'
