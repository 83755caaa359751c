'use client'
import {
  createContext,
  createElement,
  type ReactNode,
  useContext,
  useEffect,
  useInsertionEffect,
  useState,
} from 'react'
import type { JobType, JobTypes } from '../../shared/job-type.ts'
import { type ClientOptions, createClient, type JobcastClient } from '../client.ts'
import { useHeld } from './use-store.ts'

const ClientContext = createContext<JobcastClient | null>(null)

interface GivenClient {
  /** A client that the app has made, and closes. */
  readonly client: JobcastClient
}

/** The provider makes a client of these, and closes it when it is gone. `renewToken` may be another one at every render. */
interface OwnClient extends ClientOptions {
  readonly client?: undefined
  /** What goes with every call of a page: its token, since an API key is not for browsers. The client's `credential`. */
  readonly token?: string | undefined
}

export type JobcastProviderProps = (GivenClient | OwnClient) & { readonly children?: ReactNode }

/**
 * Hands a client to the hooks below: one that it is given, or one of its own. With another `baseUrl`, `token`, … its own is
 * another one, and jobs that are shown go on with it.
 */
export function JobcastProvider(props: JobcastProviderProps): ReactNode {
  const {
    children,
    client,
    ...options
  }: { readonly client?: JobcastClient | undefined } & Omit<
    OwnClient & { readonly children?: ReactNode },
    'client'
  > = props
  const [life, begin] = useState(0)
  const { baseUrl, token, credential, transports, share } = options
  const inputs = [life, client, baseUrl, token, credential, transports?.join(), share]
  const { store: leased } = useHeld(inputs, () => client ?? new LeasedClient(options))
  useInsertionEffect(() => {
    if (leased instanceof LeasedClient) leased.options = options
  })
  useEffect(() => {
    if (!(leased instanceof LeasedClient)) return
    // A tree that was hidden (`Activity`) for longer than a moment comes back with its state.
    if (leased.isClosed) begin(life + 1)
    leased.take()
    return leased.leave
  }, [leased, life])
  // Not the context itself, which is a provider only since React 19.
  const value = leased instanceof LeasedClient ? leased.client : leased
  return createElement(ClientContext.Provider, { value }, children)
}

/** A client that is closed a moment after it was left: strict mode and hot reload leave and come back in one go. */
class LeasedClient {
  readonly client: JobcastClient
  isClosed = false
  /** Those of the latest render. */
  options: OwnClient
  #closing: ReturnType<typeof setTimeout> | undefined

  constructor({ token, ...options }: OwnClient) {
    const { renewToken } = options
    this.options = options
    this.client = createClient({
      ...options,
      ...(token !== undefined && { credential: token }),
      renewToken: renewToken && ((jobId) => (this.options.renewToken ?? renewToken)(jobId)),
    })
  }

  take(): void {
    clearTimeout(this.#closing)
  }

  readonly leave = (): void => {
    this.#closing = setTimeout(() => {
      this.isClosed = true
      this.client.close()
    }, 0)
  }
}

/** The client of the nearest provider; throws where there is none. */
export function useClient<Jobs extends JobTypes = readonly JobType[]>(): JobcastClient<Jobs> {
  const client = useContext(ClientContext)
  if (client === null) {
    throw new Error(
      'no <JobcastProvider> is above this component: put <JobcastProvider baseUrl="https://…"> around the app',
    )
  }
  // The border: which jobs its server has is the caller's word.
  return client as JobcastClient<Jobs>
}
