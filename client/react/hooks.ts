import {
  createContext,
  createElement,
  type ReactNode,
  useCallback,
  useContext,
  useMemo,
  useState,
  useSyncExternalStore,
} from 'react'
import type { OverviewAnswer, SubmitAnswer, TypesAnswer } from '../../shared/api.ts'
import { checkOptions } from '../arguments.ts'
import type { JobcastClient, JobsQuery, Submission, SubmitCall } from '../client.ts'
import type { ConnectionState } from '../connection.ts'
import { JobcastError } from '../errors.ts'
import type { Readable } from '../store.ts'
import { JOB_OPTIONS, type JobState, JobStore, type StartOptions } from '../stores/job-store.ts'
import { type JobsState, JobsStore } from '../stores/jobs-store.ts'
import { type ResourceState, ResourceStore } from '../stores/resource-store.ts'

const ClientContext = createContext<JobcastClient | null>(null)

export interface JobcastProviderProps {
  readonly client: JobcastClient
  readonly children?: ReactNode
}

/** Hands the client to the hooks below. Whoever made the client closes it. */
export function JobcastProvider({ client, children }: JobcastProviderProps): ReactNode {
  // Not the context itself, which is a provider only since React 19.
  return createElement(ClientContext.Provider, { value: client }, children)
}

/** The client of the nearest provider; throws where there is none. */
export function useClient(): JobcastClient {
  const client = useContext(ClientContext)
  if (client === null) throw new Error('a Jobcast hook was used outside of JobcastProvider')
  return client
}

export interface UseJobOptions {
  /** Type of what `startJob` submits, unless it says another. */
  readonly type?: string
  /** A job to show from the start; null, or nothing: none yet. */
  readonly jobId?: string | null
  /** With the events from before: for a timeline, a log, output so far. */
  readonly history?: boolean
}

export type UseJob<Payload, Result> = JobState<Result> & JobCommands<Payload>

interface JobCommands<Payload> {
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

export interface UseJobs extends JobsState {
  /** Reads the first page again, now. */
  refresh(): Promise<void>
  loadMore(): Promise<void>
}

/**
 * A live list of jobs: the server tells of new ones and of status changes over a WebSocket. Where it cannot (on another
 * transport; with `status`, `page` or `full`), new ones are found every `refreshMs` (default 3,000) while the page is
 * visible, and unfinished ones watched. The query is compared by value.
 */
export function useJobs(query: JobsQuery = {}, { refreshMs = 3000 }: { refreshMs?: number } = {}): UseJobs {
  const client = useClient()
  // The query is often another object at every render, so that its text stands for it.
  const inputs = [client, JSON.stringify(query), refreshMs]
  const { store, state } = useStore(() => new JobsStore(client, query, refreshMs), inputs)
  return useMemo(() => ({ ...state, refresh: store.refresh, loadMore: store.loadMore }), [store, state])
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
  return useSyncExternalStore(connection.subscribe, connection.getSnapshot, connection.getSnapshot)
}

function useResource<T>(
  refreshMs: number,
  read: (client: JobcastClient, signal: AbortSignal) => Promise<T>,
): UseResource<T> {
  const client = useClient()
  const { store, state } = useStore(
    () => new ResourceStore(refreshMs, (signal) => read(client, signal)),
    [client, refreshMs],
  )
  return useMemo(() => ({ ...state, refresh: store.refresh }), [store, state])
}

/**
 * Makes a store of the SDK, holds it for as long as its inputs are the same, and reads it. It is held in state: what
 * `useMemo` holds may be forgotten at any time, and is at every hot reload, with the job that the store had begun.
 */
function useStore<T, S extends Readable<T>>(
  create: () => S & Readable<T>,
  inputs: readonly unknown[],
): { readonly store: S; readonly state: T } {
  const [first, hold] = useState(() => ({ inputs, store: create() }))
  let held = first
  if (!areSame(held.inputs, inputs)) {
    held = { inputs, store: create() }
    // React renders again at once, before anybody sees this one.
    hold(held)
  }
  const { store } = held
  return { store, state: useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot) }
}

function areSame(before: readonly unknown[], now: readonly unknown[]): boolean {
  return before.length === now.length && before.every((input, index) => Object.is(input, now[index]))
}
