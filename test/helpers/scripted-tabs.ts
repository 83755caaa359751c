import { Connection } from '../../client/connection.ts'
import type { WatchEvent } from '../../client/history.ts'
import { Http } from '../../client/http.ts'
import type { Channel } from '../../client/sharing/channel.ts'
import { type Locks, Tab } from '../../client/sharing/tab.ts'
import { LADDER } from '../../client/transports/ladder.ts'
import type { SocketConstructor } from '../../client/transports/socket.ts'
import { Watch } from '../../client/watch.ts'
import { WatchedJob } from '../../client/watched-job.ts'
import { scriptedFetch, scriptedSockets } from './scripted-network.ts'

interface Waiting {
  readonly owner: string
  readonly grant: () => void
}

/** The locks of one browser: first come, first served, and freed when their tab is gone. */
function scriptedLocks() {
  const lines = new Map<string, Waiting[]>()
  const grantFirst = (name: string) => lines.get(name)?.[0]?.grant()
  const remove = (name: string, gone: (waiting: Waiting) => boolean) => {
    const line = lines.get(name) ?? []
    const holder = line[0]
    const left = line.filter((waiting) => !gone(waiting))
    lines.set(name, left)
    if (left[0] !== holder) queueMicrotask(() => grantFirst(name))
  }
  return {
    forbidden: false,
    of(owner: string): Locks {
      const request = (name: string, { signal }: { signal: AbortSignal }, hold: () => Promise<void>) =>
        new Promise<void>((resolve, reject) => {
          if (this.forbidden) {
            reject(new Error('locks are forbidden here'))
            return
          }
          let granted = false
          const waiting: Waiting = {
            owner,
            grant: () => {
              granted = true
              void hold().then(() => {
                remove(name, (one) => one === waiting)
                resolve()
              })
            },
          }
          signal.addEventListener('abort', () => {
            if (granted) return
            remove(name, (one) => one === waiting)
            reject(signal.reason)
          })
          const line = lines.get(name) ?? []
          lines.set(name, [...line, waiting])
          if (line.length === 0) queueMicrotask(waiting.grant)
        })
      // The fake has the one form of `request` that is used.
      return { request: request as unknown as Locks['request'] }
    },
    free(owner: string) {
      for (const name of [...lines.keys()]) remove(name, (waiting) => waiting.owner === owner)
    },
  }
}

type Health = 'well' | 'stuck' | 'crashed'

/** The channels between the tabs of one browser. A tab that is stuck hears everything later. */
function scriptedChannels() {
  const channels = new Set<{ readonly owner: string; readonly name: string; readonly channel: Channel }>()
  const health = new Map<string, Health>()
  const backlogs = new Map<string, (() => void)[]>()
  return {
    count: 0,
    open(owner: string, name: string): Channel {
      const channel: Channel = {
        onmessage: null,
        postMessage: (message) => {
          if (!channels.has(entry) || health.get(owner) === 'crashed') return
          const data = structuredClone(message)
          for (const other of channels) {
            if (other.name !== name || other === entry) continue
            this.count += 1
            const deliver = () => {
              const { onmessage } = other.channel
              if (onmessage !== null && channels.has(other))
                Reflect.apply(onmessage, other.channel, [{ data }])
            }
            queueMicrotask(() => {
              if (health.get(other.owner) === 'stuck') backlogs.get(other.owner)?.push(deliver)
              else if (health.get(other.owner) !== 'crashed') deliver()
            })
          }
        },
        close: () => void channels.delete(entry),
      }
      const entry = { owner, name, channel }
      channels.add(entry)
      return channel
    },
    set(owner: string, state: Health) {
      const backlog = backlogs.get(owner) ?? []
      health.set(owner, state)
      if (state === 'stuck') backlogs.set(owner, backlog)
      else for (const deliver of backlog.splice(0)) if (state === 'well') deliver()
    },
  }
}

/** A browser with tabs. */
export function scriptedBrowser() {
  const locks = scriptedLocks()
  const channels = scriptedChannels()
  let tabs = 0
  return {
    locks,
    channels,
    /** Its network is played by the test, or a real one. */
    openTab(real?: { readonly baseUrl: string; readonly WebSocket: SocketConstructor }) {
      tabs += 1
      const owner = `tab ${tabs}`
      const { sockets, WebSocket: Scripted } = scriptedSockets()
      const { requests, fetch } = scriptedFetch()
      const { baseUrl, WebSocket } = real ?? { baseUrl: 'http://server', WebSocket: Scripted }
      const http = new Http({ baseUrl, fetch: real === undefined ? fetch : undefined })
      const tab = new Tab({
        name: 'jobcast',
        http,
        locks: locks.of(owner),
        openChannel: (name) => channels.open(owner, name),
        connect: () => new Connection({ http, transports: LADDER, WebSocket }),
      })
      return {
        tab,
        sockets,
        requests,
        watch(
          jobId = 'j1',
          options: { history?: boolean; token?: string; renew?: () => Promise<boolean> } = {},
        ) {
          const state = { token: options.token }
          const watched = new WatchedJob({
            jobId,
            history: options.history === true,
            credential: () => state.token,
            renew: options.renew ?? (() => Promise.resolve(false)),
            released: () => tab.drop(watched),
          })
          const seen: number[] = []
          /** All but progress, which may be merged. */
          const lasting: number[] = []
          const events: WatchEvent[] = []
          const watch = new Watch(watched, {
            history: options.history === true,
            onEvent: (event) => {
              const { kind, seq } = event
              events.push(event)
              seen.push(seq)
              if (kind !== 'progress') lasting.push(seq)
            },
          })
          tab.carry(watched)
          return { watch, events, seen, lasting, watched, state }
        },
        /** Its locks are freed and it says nothing more. */
        crash() {
          channels.set(owner, 'crashed')
          locks.free(owner)
        },
        stick: () => channels.set(owner, 'stuck'),
        unstick: () => channels.set(owner, 'well'),
      }
    },
  }
}
