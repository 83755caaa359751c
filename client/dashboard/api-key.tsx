import { ActionIcon, Button, PasswordInput, Stack, Text, Title, Tooltip } from '@mantine/core'
import { IconKey, IconLogout } from '@tabler/icons-react'
import { createContext, type FormEvent, type ReactNode, useContext, useMemo, useState } from 'react'
import { createClient, type JobcastClient } from '../index.ts'
import { JobcastProvider } from '../react/index.ts'
import classes from './api-key.module.css'
import { ROOT } from './root.ts'

interface ApiKeyInUse {
  /** The API key in use, or null where none was given. */
  readonly apiKey: string | null
  signIn(apiKey: string): void
  signOut(): void
}

const ApiKeyContext = createContext<ApiKeyInUse | null>(null)

interface Signed {
  readonly apiKey: string | null
  readonly client: JobcastClient
}

/** Who talks to the server: one client for the page, made anew when the API key changes. */
export function ApiKeyProvider({ children }: { children: ReactNode }) {
  const [signed, setSigned] = useState(() => signedWith(readKey()))
  const [session, setSession] = useState(0)

  const inUse = useMemo<ApiKeyInUse>(() => {
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
        setSession((former) => former + 1)
      },
    }
  }, [signed])

  return (
    <ApiKeyContext value={inUse}>
      {/* Nothing that was seen with the key may show through without it. */}
      <JobcastProvider key={session} client={signed.client}>
        {children}
      </JobcastProvider>
    </ApiKeyContext>
  )
}

function signedWith(apiKey: string | null): Signed {
  return { apiKey, client: createClient({ baseUrl: ROOT, ...(apiKey !== null && { credential: apiKey }) }) }
}

export function useApiKey(): ApiKeyInUse {
  const inUse = useContext(ApiKeyContext)
  if (inUse === null) throw new Error('useApiKey needs an ApiKeyProvider around it')
  return inUse
}

/** Asks for an API key, where the server wants one. */
export function SignIn({ isPage }: { isPage: boolean }) {
  const { apiKey, signIn } = useApiKey()
  const [key, setKey] = useState('')
  const refused = apiKey !== null && (key === '' || key === apiKey)

  function submit(event: FormEvent) {
    event.preventDefault()
    const given = key.trim()
    if (given !== '') signIn(given)
  }

  return (
    <form className={classes.card} onSubmit={submit} aria-labelledby="sign-in">
      <Stack gap="md">
        <span className={classes.icon}>
          <IconKey size={20} stroke={1.75} aria-hidden />
        </span>
        <div>
          <Title order={isPage ? 1 : 2} fz="lg" id="sign-in">
            This server wants an API key
          </Title>
          <Text size="sm" c="dimmed" mt={4}>
            It is kept in this tab only and forgotten when you close it.
          </Text>
        </div>
        <PasswordInput
          label="API key"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          error={refused ? 'The server does not know this key, or it may not do this.' : undefined}
          autoComplete="off"
          data-autofocus
        />
        <Button type="submit" disabled={key.trim() === ''}>
          Sign in
        </Button>
      </Stack>
    </form>
  )
}

/** Forgets the API key; it is there only where one is in use. */
export function SignOut() {
  const { apiKey, signOut } = useApiKey()
  if (apiKey === null) return null
  return (
    <Tooltip label="Sign out">
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label="Sign out: forget the API key"
        onClick={signOut}
      >
        <IconLogout size={18} stroke={1.75} color="var(--jc-muted)" />
      </ActionIcon>
    </Tooltip>
  )
}

/** Where the tab keeps its API key. */
const ITEM = 'jobcast.api-key'

/** The tab's API key; null where none was given or storage is refused. It never outlives the tab. */
function readKey(): string | null {
  try {
    return sessionStorage.getItem(ITEM)
  } catch {
    return null
  }
}

function storeKey(key: string): void {
  try {
    sessionStorage.setItem(ITEM, key)
  } catch {
    // Storage may be refused; the key then lasts until the page is loaded again.
  }
}

function forgetKey(): void {
  try {
    sessionStorage.removeItem(ITEM)
  } catch {
    // Nothing was stored either.
  }
}
