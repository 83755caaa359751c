import { useMemo } from 'react'
import { checkOptions } from '../arguments.ts'
import { JOB_OPTIONS, type JobState, JobStore, type StartOptions } from '../stores/job-store.ts'
import { useClient } from './provider.ts'
import { useStore } from './use-store.ts'

export interface UseJobOptions {
  /** Type of what `startJob` submits, unless it says another. */
  readonly type?: string
  /** A job to show from the start; null, or nothing: none yet. */
  readonly jobId?: string | null
  /** With the events from before: for a timeline, a log, output so far. */
  readonly history?: boolean
}

export interface UseJob<Payload, Result> extends JobState<Result> {
  /** Submits and watches. Resolves to the job's id once it is stored; rejects with a `JobcastError`. Equal calls in one go are one. */
  startJob(payload: Payload, options?: StartOptions): Promise<string>
  /** Rejects with a `JobcastError`, which `error` shows as well. */
  cancel(): Promise<void>
  retry(): Promise<void>
  reset(): void
}

/**
 * One job: submit it, or name one that exists, and have it live. `Payload` and `Result` are what the type's handler
 * takes and returns; they are taken on trust.
 */
export function useJob<Payload = unknown, Result = unknown>(
  options: UseJobOptions = {},
): UseJob<Payload, Result> {
  checkOptions('useJob', options, JOB_OPTIONS)
  const client = useClient()
  const { type, jobId: given, history } = options
  // Another way to say that there is none is no reason to begin anew.
  const jobId = given || undefined
  const inputs = [client, type, jobId, history]
  const { store, state } = useStore(() => new JobStore(client, { type, jobId, history }), inputs)
  return useMemo(() => {
    const { startJob, cancel, retry, reset } = store
    // The caller vouches for the type of its result.
    return { ...(state as JobState<Result>), startJob, cancel, retry, reset }
  }, [store, state])
}
