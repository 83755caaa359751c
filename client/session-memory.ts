import { isRecord } from './http.ts'
import { LADDER, type TransportName } from './transports/link.ts'

/**
 * What works on the way to a server, for as long as the browser's tab lives: another page of the same tab begins with
 * it. Where there is no `sessionStorage`, or it may not be used, for as long as the client does.
 */
export class SessionMemory {
  readonly #key: string
  #transport: TransportName | null = null
  #probeAt: number | null = null

  constructor(server: string) {
    this.#key = `jobcast:transport:${server}`
    const stored = guarded((storage) => storage.getItem(this.#key))
    const note = guarded((): unknown => JSON.parse(stored ?? 'null'))
    if (!isRecord(note) || typeof note.probeAt !== 'number') return
    this.#transport = LADDER.find((name) => name === note.transport) ?? null
    this.#probeAt = note.probeAt
  }

  /** What worked last. */
  get transport(): TransportName | null {
    return this.#transport
  }

  /** When a better one is to be tried again, in ms since 1970; null where there is none. */
  get probeAt(): number | null {
    return this.#probeAt
  }

  note(transport: TransportName | null, probeAt: number | null): void {
    this.#transport = transport
    this.#probeAt = probeAt
    guarded((storage) => {
      if (probeAt === null) storage.removeItem(this.#key)
      else storage.setItem(this.#key, JSON.stringify({ transport, probeAt }))
    })
  }
}

/** Storage may be forbidden or full, and what is in it anybody's. */
function guarded<T>(call: (storage: Storage) => T): T | null {
  try {
    return globalThis.sessionStorage === undefined ? null : call(sessionStorage)
  } catch {
    return null
  }
}
