import type { Connection, ConnectionState } from '../connection.ts'
import type { Readable, Unsubscribe } from '../store.ts'
import type { Answer, Request } from './messages.ts'
import { SharedRoute } from './shared-route.ts'

/** Carries what tabs watch over one connection, every job once. */
export class Hub {
  readonly #connection: Connection
  readonly #tabs = new Map<string, (answer: Answer) => void>()
  readonly #routes = new Map<string, SharedRoute>()
  readonly #leave: Unsubscribe

  constructor(connection: Connection) {
    this.#connection = connection
    const { state }: { state: Readable<ConnectionState> } = connection
    this.#leave = state.subscribe(() => {
      for (const tell of [...this.#tabs.values()]) tell({ op: 'state', state: state.getSnapshot() })
    })
  }

  has(tab: string): boolean {
    return this.#tabs.has(tab)
  }

  admit(tab: string, tell: (answer: Answer) => void): void {
    this.#tabs.set(tab, tell)
    tell({ op: 'state', state: this.#connection.state.getSnapshot() })
  }

  dismiss(tab: string): void {
    this.#tabs.delete(tab)
    for (const route of [...this.#routes.values()]) route.leave(tab)
  }

  hear(tab: string, request: Request): void {
    const tell = this.#tabs.get(tab)
    if (tell === undefined) return
    if (request.op === 'leave') {
      this.dismiss(tab)
      return
    }
    const { jobId, start } = request
    if (request.op === 'subscribe') {
      this.#route(jobId).join(tab, start, request, (answer) => tell({ ...answer, jobId, start }))
      return
    }
    const route = this.#routes.get(jobId)
    if (request.op === 'unsubscribe') route?.leave(tab, start)
    else if (request.op === 'credential') route?.credentialChanged(tab, start, request.credential)
    else route?.renewed(tab, request.verdict)
  }

  /** Tells nobody. */
  close(): void {
    this.#leave()
    this.#tabs.clear()
    this.#routes.clear()
    this.#connection.close()
  }

  #route(jobId: string): SharedRoute {
    const known = this.#routes.get(jobId)
    if (known !== undefined) return known
    const route = new SharedRoute({
      jobId,
      carry: (one) => this.#connection.carry(one),
      credentialChanged: (one) => this.#connection.credentialChanged(one),
      over: (one) => {
        this.#routes.delete(jobId)
        this.#connection.drop(one)
      },
    })
    this.#routes.set(jobId, route)
    return route
  }
}
