import { z } from 'zod'
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
      operationId: 'getLiveness',
      summary: 'Whether the process lives',
      tags: ['operation'],
      answers: { 200: { description: 'It does', schema: z.object({ status: z.literal('ok') }) } },
      handle: () => json(200, { status: 'ok' }),
    }),
    route({
      method: 'GET',
      path: '/readyz',
      access: 'open',
      operationId: 'getReadiness',
      summary: 'Whether the process takes work: not while the store is away or it drains',
      tags: ['operation'],
      answers: {
        200: {
          description: 'It does',
          schema: z.object({ status: z.literal('ready'), warnings: z.array(z.string()) }),
        },
      },
      problems: ['unavailable'],
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
      operationId: 'getMetrics',
      summary: 'Measurements for Prometheus',
      tags: ['operation'],
      answers: { 200: { description: 'Text format', media: { 'text/plain': z.string() } } },
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
