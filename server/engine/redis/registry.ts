import type { StatusCounts } from '../../../shared/api.ts'
import { JOB_STATUSES, perStatus } from '../../../shared/status.ts'
import type { Presence, TypeRegistration, TypeState } from '../engine.ts'
import { completePolicy } from '../job/policy.ts'
import type { Commands } from './commands.ts'
import type { Keyspace } from './keys.ts'
import { COMPLETED_DIGITS, list, SCRIPTS, text, whole } from './scripts.ts'

const OUTDATED = '-'

/** What processes tell each other through the store: types, pauses, presences, secrets. */
export class Registry {
  readonly #commands: Commands
  readonly #keys: Keyspace
  /** Processes that this one has listed as present. */
  readonly #listed = new Set<string>()

  constructor(commands: Commands, keys: Keyspace) {
    this.#commands = commands
    this.#keys = keys
  }

  async types(): Promise<TypeState[]> {
    const [partition] = this.#keys.every
    const { reply } = await this.#commands.read(SCRIPTS.types, partition, [])
    const [rows, countPairs, runPairs] = list(reply)
    const states = new Map<string, TypeState & { counts: StatusCounts }>()
    for (const row of list(rows)) {
      const [name, stored, paused, queued] = list(row)
      const type = text(name)
      states.set(type, {
        type,
        counts: { ...perStatus(() => 0), queued: whole(queued) },
        paused: whole(paused) === 1,
        registration: stored === '' || stored === OUTDATED ? null : decodeRegistration(text(stored)),
        ...(stored === OUTDATED && { isOutdated: true }),
      })
    }
    for (const [field, stored] of pairsOf(countPairs)) {
      const [status, type = ''] = field.split(' ')
      const state = states.get(type)
      const known = JOB_STATUSES.find((one) => one === status)
      // A newer version may count others.
      if (state !== undefined && known !== undefined) state.counts[known] = whole(stored)
    }
    for (const [type, stored] of pairsOf(runPairs)) {
      const state = states.get(type)
      if (state !== undefined) Object.assign(state.counts, decodeRuns(stored))
    }
    return [...states.values()].sort((one, other) => (one.type < other.type ? -1 : 1))
  }

  async hasQueued(): Promise<boolean> {
    const [partition] = this.#keys.every
    const { reply } = await this.#commands.read(SCRIPTS.queued, partition, [])
    return whole(reply) === 1
  }

  async registerTypes(types: readonly TypeRegistration[]): Promise<void> {
    if (types.length === 0) return
    const entries = types.flatMap((registration) => [registration.type, JSON.stringify(registration)])
    const [partition] = this.#keys.every
    await this.#commands.set(SCRIPTS.register, partition, entries)
  }

  async pause(type: string): Promise<void> {
    await this.#commands.set(SCRIPTS.pause, this.#keys.ofType(type), ['pause', type])
  }

  async resume(type: string): Promise<void> {
    await this.#commands.set(SCRIPTS.pause, this.#keys.ofType(type), ['resume', type])
  }

  /** A key of its own that ends by itself; it is listed where it was not there before, also since the store was wiped. */
  async announce({ ttlMs, ...presence }: Presence & { ttlMs: number }): Promise<void> {
    const text = JSON.stringify(presence)
    const before = await this.#commands.send('set', [
      this.#presenceKey(presence.id),
      text,
      'px',
      ttlMs,
      'get',
    ])
    if (before !== null && this.#listed.has(presence.id)) return
    await this.#commands.send('sadd', [this.#key('present'), presence.id])
    this.#listed.add(presence.id)
  }

  async withdraw(id: string): Promise<void> {
    this.#listed.delete(id)
    await this.#commands.send('del', [this.#presenceKey(id)])
    await this.#commands.send('srem', [this.#key('present'), id])
  }

  async presences(): Promise<Presence[]> {
    const { reply } = await this.#commands.read(SCRIPTS.presences, this.#keys.home, [])
    return list(reply).map((presence): Presence => JSON.parse(text(presence)))
  }

  async secret(name: string, candidate: string): Promise<string> {
    const key = this.#key(`secret:${name}`)
    await this.#commands.send('setnx', [key, candidate])
    return text(await this.#commands.send('get', [key]))
  }

  #presenceKey(id: string): string {
    return this.#key(`presence:${id}`)
  }

  #key(name: string): string {
    return this.#keys.home.prefix + name
  }
}

function decodeRegistration(stored: string): TypeRegistration {
  const registration: TypeRegistration = JSON.parse(stored)
  return { ...registration, policy: completePolicy(registration.policy) }
}

function pairsOf(reply: unknown): [field: string, value: string][] {
  const cells = list(reply).map(text)
  return cells.flatMap((cell, at) => (at % 2 === 0 ? [[cell, cells[at + 1] ?? '']] : []))
}

/** Two counts in one number: see lua/lib/counts.lua. */
function decodeRuns(stored: string): Pick<StatusCounts, 'processing' | 'completed'> {
  return {
    processing: Number(stored.slice(0, -COMPLETED_DIGITS)),
    completed: Number(stored.slice(-COMPLETED_DIGITS)),
  }
}
