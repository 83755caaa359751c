'use client'
import { useCallback, useInsertionEffect, useMemo, useState } from 'react'
import type { OverviewAnswer, SubmitAnswer, TypesAnswer } from '../../shared/api.ts'
import type { JobType } from '../../shared/job-type.ts'
import { checkOptions } from '../arguments.ts'
import type { JobcastClient, JobsQuery, Submission, SubmitCall } from '../client.ts'
import type { ConnectionState } from '../connection.ts'
import { JobcastError } from '../errors.ts'
import {
  givenJobId,
  JOB_OPTIONS,
  type JobControls,
  type JobState,
  JobStore,
  type JobStoreOptions,
} from '../stores/job-store.ts'
import { type JobsHandle, type JobsState, JobsStore } from '../stores/jobs-store.ts'
import { type ResourceState, ResourceStore } from '../stores/resource-store.ts'
import { useClient } from './provider.ts'
import { areSame, useHeld, useTracked } from './use-store.ts'

/** Callbacks and `token` may be others at every render: the latest count. */
export type UseJobOptions<J extends JobType = JobType> = JobStoreOptions<J>

/** What of it a component reads decides when it is rendered again: by progress only where it shows progress. */
export type UseJob<J extends JobType = JobType> = JobState<J> & JobControls<J>

const CONTROLS = ['startJob', 'cancel', 'retry', 'reset'] as const

/**
 * One job: submit it, or name one that exists, and have it live. `J` is the type's definition (`typeof resize`), of which
 * names, payload and result are known; they are taken on trust.
 */
export function useJob<J extends JobType = JobType>(options: UseJobOptions<J> = {}): UseJob<J> {
  checkOptions('useJob', options, JOB_OPTIONS)
  const client = useClient()
  // The border: that the server's jobs are of this type is the caller's word.
  const said: JobStoreOptions = options as object
  // Another way to say that there is none is no reason to begin anew.
  const inputs = [client, said.type, givenJobId(said), said.history === true]
  const held = useHeld<JobStore>(inputs, (before) => {
    // With another client the job goes on that was shown.
    const isSameJob = before !== null && areSame(before.inputs.slice(1), inputs.slice(1))
    const { jobId, job } = isSameJob ? before.store.getSnapshot() : { jobId: null, job: null }
    return new JobStore(client, jobId === null ? said : { ...said, jobId, initialJob: job })
  })
  useInsertionEffect(() => {
    held.store.options = said
  })
  return useTracked<JobState, JobStore, (typeof CONTROLS)[number]>(held, CONTROLS) as UseJob as UseJob<J>
}

const LIST_METHODS = ['refresh', 'loadMore'] as const

export type UseJobs = JobsState & Pick<JobsHandle, 'refresh' | 'loadMore'>

/**
 * A live list of jobs: the server tells of new ones and of status changes over a WebSocket. Where it cannot (on another
 * transport; with `status`, `page` or `full`), new ones are found every `refreshMs` (default 3,000) while the page is
 * visible, and unfinished ones watched. The query is compared by value.
 */
export function useJobs(query: JobsQuery = {}, { refreshMs = 3000 }: { refreshMs?: number } = {}): UseJobs {
  const client = useClient()
  // The query is often another object at every render, so that its text stands for it.
  const inputs = [client, JSON.stringify(query), refreshMs]
  return useTracked(
    useHeld(inputs, () => new JobsStore(client, query, refreshMs)),
    LIST_METHODS,
  )
}

export interface UseSubmitJob {
  /** Rejects with a `JobcastError`, which `error` shows as well. */
  submit(submission: Submission & SubmitCall): Promise<SubmitAnswer>
  readonly submitting: boolean
  readonly error: JobcastError | null
  /** The answer to the last submission. */
  readonly submitted: SubmitAnswer | null
}

type State =
  | { readonly kind: 'idle' | 'submitting' }
  | { readonly kind: 'done'; readonly answer: SubmitAnswer }
  | { readonly kind: 'failed'; readonly error: JobcastError }

/** Submits jobs without watching them. */
export function useSubmitJob(): UseSubmitJob {
  const client = useClient()
  const [state, setState] = useState<State>({ kind: 'idle' })
  const submit = useCallback(
    async (submission: Submission & SubmitCall) => {
      setState({ kind: 'submitting' })
      try {
        const answer = await client.submit(submission)
        setState({ kind: 'done', answer })
        return answer
      } catch (error) {
        if (error instanceof JobcastError) setState({ kind: 'failed', error })
        else setState({ kind: 'idle' })
        throw error
      }
    },
    [client],
  )
  return useMemo(
    () => ({
      submit,
      submitting: state.kind === 'submitting',
      error: state.kind === 'failed' ? state.error : null,
      submitted: state.kind === 'done' ? state.answer : null,
    }),
    [submit, state],
  )
}

export interface UseResource<T> extends ResourceState<T> {
  /** Reads it again, now. */
  refresh(): Promise<void>
}

interface RefreshOptions {
  readonly refreshMs?: number
}

/** The job types with their counts, read again every `refreshMs` (default 3,000) while the page is visible. */
export function useTypes({ refreshMs = 3000 }: RefreshOptions = {}): UseResource<TypesAnswer> {
  return useResource(refreshMs, (client, signal) => client.types({ signal }))
}

/** Workers, gateways and counts, read again every `refreshMs` (default 3,000) while the page is visible. */
export function useOverview({ refreshMs = 3000 }: RefreshOptions = {}): UseResource<OverviewAnswer> {
  return useResource(refreshMs, (client, signal) => client.overview({ signal }))
}

/** How the client is connected. */
export function useConnection(): ConnectionState {
  const { connection } = useClient()
  return useTracked(
    useHeld([connection], () => connection),
    NO_METHODS,
    IDLE,
  )
}

const NO_METHODS = [] as const
const IDLE: ConnectionState = { transport: null, phase: 'idle' }
const RESOURCE_METHODS = ['refresh'] as const

function useResource<T>(
  refreshMs: number,
  read: (client: JobcastClient, signal: AbortSignal) => Promise<T>,
): UseResource<T> {
  const client = useClient()
  const create = () => new ResourceStore(refreshMs, (signal) => read(client, signal))
  return useTracked(useHeld([client, refreshMs], create), RESOURCE_METHODS)
}
