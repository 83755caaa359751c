import { createClient, type JobcastClient, JobcastError } from '../client/index.ts'
import { JOBCAST_KEY, JOBCAST_URL } from './environment.ts'
import { CommandError } from './terminal.ts'

/** Options of every command that talks to a server. */
export interface ClientFlags {
  readonly url?: string
  readonly key?: string
  readonly json?: boolean
}

/** Where a server is looked for where nobody says: that of `jobcast dev`, then that of `jobcast start`. */
const USUAL = ['http://127.0.0.1:3300', 'http://127.0.0.1:3000']
/** What a server on this machine has to answer, in ms. */
const LOOK_MS = 1500

/**
 * Calls the server that the flags, the environment or convention name, and closes the connection. Whatever goes wrong becomes a
 * `CommandError` that says what to do.
 */
export async function withServer<T>(
  flags: ClientFlags,
  use: (client: JobcastClient, url: string) => Promise<T>,
): Promise<T> {
  const url = flags.url ?? JOBCAST_URL ?? (await usualServer())
  const credential = flags.key ?? JOBCAST_KEY
  let client: JobcastClient
  try {
    client = createClient({ baseUrl: url, ...(credential !== undefined && { credential }) })
  } catch {
    throw new CommandError(
      `${url} is no address of a server; it should be such as https://jobs.example.com`,
      {
        exitCode: 2,
      },
    )
  }
  try {
    return await use(client, url)
  } catch (error) {
    throw explained(error, url, credential)
  } finally {
    client.close()
  }
}

async function usualServer(): Promise<string> {
  for (const url of USUAL) if (await answers(url)) return url
  throw new CommandError(
    `no server answers at ${USUAL.join(' or ')}: start one with "npx jobcast dev", or say where it is with --url or JOBCAST_URL`,
  )
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(LOOK_MS) })
    const body: unknown = await response.json()
    return response.ok && JSON.stringify(body) === '{"status":"ok"}'
  } catch {
    return false
  }
}

function explained(error: unknown, url: string, key: string | undefined): unknown {
  if (error instanceof TypeError) return new CommandError(error.message, { exitCode: 2 })
  if (!(error instanceof JobcastError)) return error
  return new CommandError(sentence(error, url, key), {
    details: error.errors
      .filter(({ message }) => !error.message.includes(message))
      .map(({ path, message }) => `${path}: ${message}`),
  })
}

function sentence({ code, message, status }: JobcastError, url: string, key: string | undefined): string {
  switch (code) {
    case 'network':
      return `${url} cannot be reached: is the server running there? "npx jobcast dev" starts one; --url or JOBCAST_URL say where it is`
    case 'timeout':
      return `${url} did not answer in time`
    case 'unauthorized':
      return key === undefined
        ? `${url} asks for an API key: --key or JOBCAST_KEY`
        : `${url} does not know this API key: see JOBCAST_API_KEYS there`
    case 'forbidden':
      return `${url}: ${message}`
    case 'http_error':
      return `${url} answers, but not as a Jobcast server (${message}): is --url or JOBCAST_URL right?`
    default:
      return status === 404 && code !== 'not_found' ? `${url}: ${message}` : message
  }
}
