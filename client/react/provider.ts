'use client'
import {
  createContext,
  createElement,
  type ReactNode,
  useContext,
  useEffect,
  useInsertionEffect,
  useRef,
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

/** The provider makes a client of these, and closes it when it is gone. Functions may be others at every render. */
interface OwnClient extends ClientOptions {
  readonly client?: undefined
  /** What goes with every call of a page: its token, since an API key is not for browsers. The client's `credential`. */
  readonly token?: string | undefined
}

export type JobcastProviderProps = (GivenClient | OwnClient) & {
  readonly children?: ReactNode
}

/**
 * Hands a client to the hooks below: one that it is given, or one of its own. With another `baseUrl`, `token`, … its own is
 * another one, and jobs that are shown go on with it.
 */
export function JobcastProvider(props: JobcastProviderProps): ReactNode {
  const { children } = props
  if (props.client === undefined) return createElement(OwnClientProvider, props)
  return provide(props.client, children)
}

function OwnClientProvider({ children, client: _, token, ...options }: OwnClient & { children?: ReactNode }) {
  return provide(useOwnClient(token === undefined ? options : { ...options, credential: token }), children)
}

function provide(client: JobcastClient, children: ReactNode): ReactNode {
  // Not the context itself, which is a provider only since React 19.
  return createElement(ClientContext.Provider, { value: client }, children)
}

/** A client that is closed a moment after it was left: strict mode and hot reload leave and come back in one go. */
class LeasedClient {
  readonly client: JobcastClient
  isClosed = false
  #closing: ReturnType<typeof setTimeout> | undefined

  constructor(options: ClientOptions) {
    this.client = createClient(options)
  }

  take(): void {
    clearTimeout(this.#closing)
  }

  leave(): void {
    this.#closing = setTimeout(() => {
      this.isClosed = true
      this.client.close()
    }, 0)
  }
}

function useOwnClient(options: ClientOptions): JobcastClient {
  const latest = useRef(options)
  useInsertionEffect(() => {
    latest.current = options
  })
  const [life, begin] = useState(0)
  const { baseUrl, credential, transports, share } = options
  const inputs = [life, baseUrl, credential, transports?.join(), share]
  const { store: leased } = useHeld(inputs, () => {
    const { renewToken } = options
    if (renewToken === undefined) return new LeasedClient(options)
    const renew = (jobId: string) => (latest.current.renewToken ?? renewToken)(jobId)
    return new LeasedClient({ ...options, renewToken: renew })
  })
  useEffect(() => {
    // A tree that was hidden (`Activity`) for longer than a moment comes back with its state.
    if (leased.isClosed) begin((before) => before + 1)
    leased.take()
    return () => leased.leave()
  }, [leased])
  return leased.client
}

/** The client of the nearest provider; throws where there is none. */
export function useClient<Jobs extends JobTypes = readonly JobType[]>(): JobcastClient<Jobs> {
  const client = useContext(ClientContext)
  if (client === null) {
    throw new Error(
      'no <JobcastProvider> is above this component: wrap the app in <JobcastProvider baseUrl="https://…"> or <JobcastProvider client={client}>',
    )
  }
  // The border: which jobs its server has is the caller's word.
  return client as JobcastClient<Jobs>
}
