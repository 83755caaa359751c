import { createContext, type ReactNode, useContext, useMemo, useState } from 'react'
import { createClient, type JobcastClient } from '../../index.ts'
import { JobcastProvider } from '../../react/index.ts'
import { forgetKey, readKey, storeKey } from './stored-key.ts'

interface Session {
  /** The API key in use, or null where none was given. */
  readonly apiKey: string | null
  signIn(apiKey: string): void
  signOut(): void
}

const SessionContext = createContext<Session | null>(null)

interface Signed {
  readonly apiKey: string | null
  readonly client: JobcastClient
}

/** Who talks to the server: one client for the page, made anew when the API key changes. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const [signed, setSigned] = useState(() => signedWith(readKey()))

  const session = useMemo<Session>(() => {
    function change(apiKey: string | null) {
      signed.client.close()
      setSigned(signedWith(apiKey))
    }
    return {
      apiKey: signed.apiKey,
      signIn(key) {
        storeKey(key)
        change(key)
      },
      signOut() {
        forgetKey()
        change(null)
      },
    }
  }, [signed])

  return (
    <SessionContext value={session}>
      <JobcastProvider client={signed.client}>{children}</JobcastProvider>
    </SessionContext>
  )
}

function signedWith(apiKey: string | null): Signed {
  return { apiKey, client: createClient(apiKey === null ? {} : { credential: apiKey }) }
}

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (session === null) throw new Error('useSession needs a SessionProvider around it')
  return session
}
