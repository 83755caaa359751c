import { WebSocket } from 'ws'
import { type ClientOptions, createClient, type JobEvent, type TransportName } from '../../../client/index.ts'
import { parseCursor } from '../../../shared/cursor.ts'
import type { Job } from '../../../shared/job.ts'
import type { Sighting } from '../../helpers/subscriber/sightings.ts'
import type { Watching } from '../../helpers/subscriber/subscriber.ts'

/** One job watched with the client that ships, from its first event on. */
export class ClientWatch implements Watching {
  readonly jobId: string
  /** What carried it, since when on `performance.now()`. */
  readonly carriers: { readonly transport: TransportName; readonly since: number }[] = []
  readonly #events: JobEvent[] = []
  readonly #client
  readonly #watch

  constructor(jobId: string, options: ClientOptions) {
    this.jobId = jobId
    this.#client = createClient({ WebSocket, ...options })
    this.#watch = this.#client.watch(jobId, {
      history: true,
      onEvent: (event) => event.kind !== 'missed' && this.#events.push(event),
    })
    this.#watch.subscribe(() => this.#look())
  }

  get sightings(): readonly Sighting[] {
    const { phase } = this.#watch.getSnapshot()
    return [
      { saw: 'start', epoch: this.epoch ?? '', seq: 0 },
      ...this.#events.map((event) => ({ saw: 'event', event, prev: null }) as const),
      ...(phase === 'ended' ? [{ saw: 'end' } as const] : []),
    ]
  }

  get failure(): Error | null {
    return this.#watch.getSnapshot().error
  }

  get job(): Job | null {
    return this.#watch.getSnapshot().job
  }

  get epoch(): string | null {
    return this.job === null ? null : parseCursor(this.job.cursor).epoch
  }

  get isOver(): boolean {
    const { phase } = this.#watch.getSnapshot()
    return phase === 'ended' || phase === 'refused'
  }

  /** What carries it now; null where nothing does. */
  get carrier(): TransportName | null {
    const { phase, transport } = this.#watch.getSnapshot()
    return phase === 'live' || phase === 'ended' ? transport : null
  }

  stop(): void {
    this.#client.close()
  }

  #look(): void {
    const { carrier } = this
    if (carrier !== null && carrier !== this.carriers.at(-1)?.transport) {
      this.carriers.push({ transport: carrier, since: performance.now() })
    }
    // An open connection would be left over.
    if (this.isOver) queueMicrotask(() => this.stop())
  }
}
