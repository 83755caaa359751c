import type { Engine } from './engine.ts'

/** Where jobs are stored. */
export type EngineAddress =
  | { readonly kind: 'sqlite'; readonly folder: string }
  /** In this process, and nowhere else: what was stored is gone when the engine stops. */
  | {
      readonly kind: 'memory'
      /** Tells the time, in ms since 1970; `Date.now` where it is left out. */
      readonly now?: () => number
    }
  | { readonly kind: 'redis'; readonly url: string; readonly prefix: string }

export interface EngineOptions {
  /** What the settings of the store are called where they were made, for messages that say which to change. */
  readonly named?: (setting: 'redis' | 'prefix' | 'sqlite') => string
  /** Whether the store, while it owes no answer, lets the process end; left out: it does not. */
  readonly isBackground?: boolean
  /** The store went away; why, in one line. */
  readonly onDown?: (reason: string) => void
  /** It is back, with this epoch, and with what is at risk with it (`Engine.check`). */
  readonly onUp?: (epoch: string, warnings: readonly string[]) => void
  /** It holds a word that only a newer version knows; once a word. */
  readonly onNewer?: (what: string) => void
}

/** The engine for an address, not started yet. Loads only the libraries that this one needs. */
export async function openEngine(address: EngineAddress, options: EngineOptions = {}): Promise<Engine> {
  const { named, isBackground = false, ...hooks } = options
  if (address.kind === 'memory') {
    const { createSqliteEngine } = await import('./sqlite/engine.ts')
    const { now = Date.now } = address
    return createSqliteEngine({ memory: null, now, ...hooks })
  }
  if (address.kind === 'sqlite') {
    const { createSqliteEngine } = await import('./sqlite/engine.ts')
    return createSqliteEngine({ folder: address.folder, ...(named && { named: named('sqlite') }), ...hooks })
  }
  const { createRedisEngine } = await import('./redis/engine.ts')
  const names = named && { names: { redis: named('redis'), prefix: named('prefix') } }
  return createRedisEngine({ url: address.url, prefix: address.prefix, isBackground, ...names, ...hooks })
}
