import type { Unsubscribe } from '../../engine/engine.ts'
import type { Hub } from '../hub.ts'
import { keyOf, type ListFilter } from './filter.ts'
import { LIST_TIMES, ListFollower, type ListReader, type ListTimes } from './list-follower.ts'

/** A reader's share of a follower. */
export interface Membership {
  readonly follower: ListFollower
  /** May be called twice. */
  readonly leave: Unsubscribe
}

/** Filter -> the one who follows it, for as long as there is a reader. */
export class Lists {
  readonly #hub: Hub
  readonly #times: ListTimes
  readonly #followers = new Map<string, ListFollower>()

  constructor(hub: Hub, times: Partial<ListTimes> = {}) {
    this.#hub = hub
    this.#times = { ...LIST_TIMES, ...times }
  }

  /** Resolves once the list can be shown; the reader hears of what changes from then on. Rejects with `Unavailable`. */
  async join(filter: ListFilter, reader: ListReader): Promise<Membership> {
    const key = keyOf(filter)
    const follower = this.#followerOf(key, filter)
    const leave = () => {
      follower.readers.delete(reader)
      if (follower.readers.size > 0) return
      follower.close()
      if (this.#followers.get(key) === follower) this.#followers.delete(key)
    }
    follower.readers.add(reader)
    try {
      await follower.open()
    } catch (error) {
      leave()
      throw error
    }
    return { follower, leave }
  }

  #followerOf(key: string, filter: ListFilter): ListFollower {
    const known = this.#followers.get(key)
    if (known !== undefined && !known.isClosed) return known
    const follower = new ListFollower(this.#hub, filter, this.#times)
    this.#followers.set(key, follower)
    return follower
  }
}
