import { NoQuery } from '../../shared/query.ts'
import type { Engine } from '../engine/engine.ts'
import { OutcomeUnknown } from '../engine/errors.ts'
import type { Awaitable } from '../jobs/check-value.ts'
import type { Metrics } from '../metrics.ts'
import { unavailable } from './problem.ts'
import { json, type Route, route, textAnswer } from './route.ts'

export interface HealthDeps {
  readonly engine: Engine
  readonly metrics: Metrics
  /** Why the process is not ready, the store apart; null where it is. */
  readonly readiness: () => string | null
  /** What does not go well though the process is ready, the store apart, a sentence each. */
  readonly warnings: () => Awaitable<readonly string[]>
}

/** Liveness asks nothing but whether the process answers: a store that is away is no reason to restart it. */
export function healthRoutes({ engine, metrics, readiness, warnings }: HealthDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/healthz',
      access: 'open',
      query: NoQuery,
      handle: () => json(200, { status: 'ok' }),
    }),
    route({
      method: 'GET',
      path: '/readyz',
      access: 'open',
      query: NoQuery,
      async handle() {
        const reason = readiness()
        if (reason !== null) throw unavailable(reason)
        // The store first: where it cannot be used, it says why.
        const risks = await warningsOf(engine)
        return json(200, { status: 'ready', warnings: [...risks, ...(await warnings())] })
      },
    }),
    route({
      method: 'GET',
      path: '/metrics',
      access: { store: 'read' },
      query: NoQuery,
      async handle() {
        const { body, contentType } = await metrics.text()
        return textAnswer(200, body, { 'content-type': contentType })
      },
    }),
  ]
}

async function warningsOf(engine: Engine): Promise<readonly string[]> {
  try {
    return await engine.check()
  } catch (error) {
    // A probe that got no answer left nothing behind that anyone could ask for.
    if (error instanceof OutcomeUnknown) throw unavailable(error.message)
    throw error
  }
}
