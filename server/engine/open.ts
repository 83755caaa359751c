import type { Engine } from './engine.ts'

/** Where jobs are stored. */
export type EngineAddress =
  | { readonly kind: 'sqlite'; readonly folder: string }
  /** In this process, and nowhere else: what was stored is gone when the engine stops. */
  | { readonly kind: 'memory' }
  | { readonly kind: 'redis'; readonly url: string; readonly prefix: string }

export interface EngineHooks {
  /** The store went away; why, in one line. */
  readonly onDown?: (reason: string) => void
  /** It is back, with this epoch, and with what is at risk with it (`Engine.check`). */
  readonly onUp?: (epoch: string, warnings: readonly string[]) => void
  /** It holds a word that only a newer version knows; once a word. */
  readonly onNewer?: (what: string) => void
}

/** The engine for an address, not started yet. Loads only the libraries that this one needs. */
export async function openEngine(address: EngineAddress, hooks: EngineHooks = {}): Promise<Engine> {
  if (address.kind !== 'redis') {
    const { createSqliteEngine } = await import('./sqlite/engine.ts')
    const location = address.kind === 'memory' ? { memory: null } : { folder: address.folder }
    return createSqliteEngine({ ...location, ...hooks })
  }
  const { createRedisEngine } = await import('./redis/engine.ts')
  return createRedisEngine({ url: address.url, prefix: address.prefix, ...hooks })
}
