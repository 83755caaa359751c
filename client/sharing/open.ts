import type { Carrier } from '../carrier.ts'
import type { Connection } from '../connection.ts'
import type { Http } from '../http.ts'
import type { TransportName } from '../transports/link.ts'
import { Tab } from './tab.ts'

export interface OpenTabOptions {
  readonly http: Http
  readonly credential: string | undefined
  readonly transports: readonly TransportName[]
  readonly connect: () => Connection
}

/** Tabs understand each other only where they run the same version of the messages. */
const VERSION = 1

/** Takes part among the tabs of this origin that have the same server, credential and transports, and no others. */
export async function openTab({ http, credential, transports, connect }: OpenTabOptions): Promise<Carrier> {
  // A hash, since names of locks and channels are there for every script of the origin to see.
  const text = new TextEncoder().encode(JSON.stringify([http.url(''), credential ?? null, transports]))
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', text))
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return new Tab({
    name: `jobcast/${VERSION}/${hex}`,
    http,
    connect,
    locks: navigator.locks,
    openChannel: (name) => new BroadcastChannel(name),
  })
}
