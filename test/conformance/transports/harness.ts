import { expect, test } from 'vitest'
import type { RunEvent } from '../../../server/engine/engine.ts'
import type { JobEvent } from '../../../shared/event.ts'
import type { Job } from '../../../shared/job.ts'
import { type Gateway, type GatewayOptions, openGateway } from '../../helpers/gateway.ts'
import { Account } from '../../helpers/subscriber/account.ts'
import { breachesOfOrder } from '../../helpers/subscriber/sightings.ts'
import type { Told, Wire, WireRequest } from '../../helpers/subscriber/wire.ts'
import { type Transport, WIRES } from '../../helpers/subscriber/wires.ts'
import { until } from '../../helpers/until.ts'

/** What a case works with: a gateway of its own, and the transport that is tried. */
export interface Kit {
  readonly transport: Transport
  readonly gateway: Gateway
  readonly address: string
  /** One connection; it is closed at the end of the case. */
  watch(jobId: string, request?: Omit<WireRequest, 'address' | 'jobId'>): Watch
  job(jobId: string): Promise<Job>
  /** The retained events. */
  history(jobId: string): Promise<readonly JobEvent[]>
}

export type TransportTest = (
  name: string,
  body: (kit: Kit) => Promise<void>,
  options?: GatewayOptions,
) => void

/** One connection to one job, and all that it told. */
export class Watch {
  readonly jobId: string
  readonly told: Told[] = []
  readonly account: Account
  readonly #wire: Wire
  readonly #transport: Transport
  #failure: unknown

  constructor(transport: Transport, request: WireRequest) {
    this.#transport = transport
    this.jobId = request.jobId
    this.account = new Account(request.after || null)
    this.#wire = WIRES[transport](request, (told) => {
      this.told.push(told)
      try {
        this.account.take(told)
      } catch (error) {
        this.#failure ??= error
      }
    })
  }

  get events(): readonly JobEvent[] {
    return this.account.events
  }

  /** Waits until so many of a kind were told, and resolves to the last of these. */
  async next<Kind extends Told['told']>(kind: Kind, count = 1): Promise<Told & { told: Kind }> {
    const all = () => this.told.filter((told): told is Told & { told: Kind } => told.told === kind)
    const found = await this.#until(() => all()[count - 1], `"${kind}" for the ${count}. time`)
    return found as Told & { told: Kind }
  }

  /** Waits for the event with a seq. */
  reached(seq: number): Promise<unknown> {
    return this.#until(() => (this.events.at(-1)?.seq ?? 0) >= seq, `event ${seq}`)
  }

  close(): void {
    this.#wire.close()
    if (this.#failure !== undefined) throw this.#failure
  }

  async #until<T>(look: () => T, what: string): Promise<T> {
    const last = () => JSON.stringify(this.told.at(-1) ?? null).slice(0, 300)
    await until(() => this.#failure !== undefined || look(), {
      what: `${what} over ${this.#transport}, after ${last()}`,
    })
    if (this.#failure !== undefined) throw this.#failure
    return look()
  }
}

/** What is quick enough for cases that wait for the periodic check of positions. */
const HUB = { lingerMs: 20, check: { checkMs: 200, retryMs: 30, graceMs: 30 } }

/** `test`, with a gateway of its own for each case, which must be left empty. */
export function transportTest(transport: Transport): TransportTest {
  return (name, body, options = {}) =>
    test(name, async () => {
      const gateway = await openGateway({ hub: HUB, ...options })
      const watches: Watch[] = []
      const kit: Kit = {
        transport,
        gateway,
        address: `http://127.0.0.1:${gateway.port}`,
        watch(jobId, request = {}) {
          const watch = new Watch(transport, { address: kit.address, jobId, ...request })
          watches.push(watch)
          return watch
        },
        async job(jobId) {
          const job = await gateway.engine.get(jobId)
          if (job === null) throw new Error(`there is no job ${jobId}`)
          return job
        },
        async history(jobId) {
          const [read] = await gateway.engine.feed.read([
            { jobId, after: null, history: true, withJob: false },
          ])
          return read?.events ?? []
        },
      }
      try {
        await body(kit)
        for (const watch of watches) watch.close()
        await until(() => gateway.hub.info().subscriptions === 0 && gateway.feed.watching === 0, {
          what: 'everything to be released',
        })
        expect(gateway.seen('failure')).toEqual([])
      } finally {
        for (const watch of watches) watch.close()
        await gateway.close()
      }
    })
}

/** That a watch was told everything that is retained, in order, once, and folded it to the job as it is. */
export async function expectWhole(kit: Kit, watch: Watch): Promise<void> {
  expect(breachesOfOrder(watch.account.sightings, await kit.history(watch.jobId))).toEqual([])
  const { job } = watch.account
  // Who began with a cursor has no job to fold into.
  if (job !== null) expect(job).toEqual(await kit.job(watch.jobId))
}

export const line = (text: string): RunEvent => ({ kind: 'log', data: { level: 'info', line: text } })
export const chunk = (data: string | number): RunEvent => ({ kind: 'chunk', data })
export const percent = (value: number): RunEvent => ({
  kind: 'progress',
  data: { percent: value, note: null },
})

/** All but progress, which may be merged away. */
export function lasting(events: readonly JobEvent[]): readonly JobEvent[] {
  return events.filter(({ kind }) => kind !== 'progress')
}

/** The cursor at a seq of the present history. */
export const cursorAt = ({ gateway }: Kit, seq: number): string => `${gateway.feed.epoch}.${seq}`
