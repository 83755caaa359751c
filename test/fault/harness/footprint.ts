import { call } from './http.ts'
import type { Node } from './node.ts'
import { isSoak } from './repetitions.ts'
import type { Store } from './store.ts'

/** What a deployment holds on to: open files, timers, watchers, and what is kept in the store. */
export interface Footprint {
  readonly openFiles: readonly number[]
  readonly timers: readonly number[]
  readonly connections: number
  readonly subscriptions: number
  readonly leftovers: readonly string[]
}

export async function footprintOf(nodes: readonly Node[], store: Store): Promise<Footprint> {
  const metrics = await Promise.all(nodes.map(metricsOf))
  const sum = (name: string) => metrics.reduce((total, of) => total + of(name), 0)
  return {
    openFiles: await Promise.all(nodes.map((node) => node.openFiles())),
    timers: metrics.map((of) => of('nodejs_active_resources{type="Timeout"}')),
    connections: sum('jobcast_gateway_connections'),
    subscriptions: sum('jobcast_gateway_subscriptions'),
    leftovers: await store.leftovers(),
  }
}

/** In bytes. They take full collections, so they are looked at once all else is as it was. */
export function heapsOf(nodes: readonly Node[]): Promise<number[]> {
  return Promise.all(nodes.map((node) => node.heap()))
}

/** Files and timers come and go by a few: a lookup, a connection that is being replaced, an announcement under way. */
const SLACK = 3
/** Code is loaded and compiled when a fault first leads there: 2 to 6 MB. */
const HEAP_SLACK_BYTES = 8e6

/** What has grown, in words. */
export function growth(before: Footprint, after: Footprint): string[] {
  const grown: string[] = []
  after.openFiles.forEach((files, index) => {
    const most = (before.openFiles[index] ?? 0) + SLACK
    if (files > most) grown.push(`process ${index} has ${files} open files, more than ${most}`)
  })
  // What was watched lingers for some seconds, on timers: that is waited for where there is time.
  if (isSoak) {
    after.timers.forEach((timers, index) => {
      const most = (before.timers[index] ?? 0) + SLACK
      if (timers > most) grown.push(`process ${index} has ${timers} timers, more than ${most}`)
    })
  }
  if (after.connections > 0) grown.push(`${after.connections} connections are left`)
  if (after.subscriptions > 0) grown.push(`${after.subscriptions} subscriptions are left`)
  const left = after.leftovers.filter((name) => !before.leftovers.includes(name))
  if (left.length > 0) grown.push(`left in the store: ${left.slice(0, 5).join(', ')}`)
  return grown
}

export function heapGrowth(before: readonly number[], after: readonly number[]): string[] {
  return after.flatMap((bytes, index) => {
    const most = (before[index] ?? 0) + HEAP_SLACK_BYTES
    return bytes > most ? [`process ${index} holds ${bytes} bytes, more than ${most}`] : []
  })
}

/** Reads the metrics of a process: the sum of all series whose name begins so. */
export async function metricsOf(node: Node): Promise<(name: string) => number> {
  const { status, body } = await call(`${node.url}/metrics`, 'GET')
  if (status !== 200 || typeof body !== 'string') throw new Error(`/metrics answers ${status}`)
  const lines = body.split('\n')
  return (name) =>
    lines
      .filter((line) => line.startsWith(name))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
