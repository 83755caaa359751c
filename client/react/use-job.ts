import { useMemo } from 'react'
import { type JobState, JobStore, type StartOptions } from '../stores/job-store.ts'
import { useClient } from './provider.ts'
import { useStore } from './use-store.ts'

export interface UseJobOptions {
  /** Type of what `startJob` submits, unless it says another. */
  readonly type?: string
  /** A job to show from the start. */
  readonly jobId?: string
  /** With the events from before: for a timeline, a log, output so far. */
  readonly history?: boolean
}

export interface UseJob<Payload, Result> extends JobState<Result> {
  /** Submits and watches. Resolves to the job's id once it is stored; rejects with a `JobcastError`. */
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
  const client = useClient()
  const { type, jobId, history } = options
  const inputs = [client, type, jobId, history]
  const { store, state } = useStore(() => new JobStore(client, { type, jobId, history }), inputs)
  return useMemo(() => {
    const { startJob, cancel, retry, reset } = store
    // The caller vouches for the type of its result.
    return { ...(state as JobState<Result>), startJob, cancel, retry, reset }
  }, [store, state])
}
