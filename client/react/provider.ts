import { createContext, createElement, type ReactNode, useContext } from 'react'
import type { JobcastClient } from '../client.ts'

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
