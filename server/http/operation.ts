import { z } from 'zod'
import {
  GatewayInfo,
  OverviewAnswer,
  type StatusCounts,
  type TypeInfo,
  TypeName,
  TypesAnswer,
  WorkerInfo,
} from '../../shared/api.ts'
import { perStatus } from '../../shared/status.ts'
import type { Engine, TypeState } from '../engine/engine.ts'
import { OutcomeUnknown } from '../engine/errors.ts'
import type { Awaitable } from '../jobs/check-value.ts'
import type { TypeRegistry } from '../jobs/registry.ts'
import type { Metrics } from '../metrics.ts'
import { unavailable } from './problem.ts'
import { json, type Route, route, textAnswer } from './route.ts'

/** Calls for operators and their tools: what there is and who runs it, the switches of a type, probes and metrics. */

interface OperationDeps {
  readonly engine: Engine
  readonly registry: TypeRegistry
  /** Of the package. */
  readonly version: string
}

export function operationRoutes({ engine, registry, version }: OperationDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/types',
      access: { store: 'read' },
      operationId: 'listTypes',
      summary: 'Job types, how many jobs they have and who runs them',
      tags: ['types'],
      answers: { 200: { description: 'The types', schema: TypesAnswer } },
      async handle() {
        const [states, { workers }] = await Promise.all([engine.types(), readPresences(engine)])
        return json(200, { types: states.map((state) => describe(state, workers, registry)) })
      },
    }),
    switchRoute(engine, 'pause'),
    switchRoute(engine, 'resume'),
    route({
      method: 'GET',
      path: '/api/overview',
      access: { store: 'read' },
      operationId: 'getOverview',
      summary: 'The engine, jobs by status, live workers and gateways',
      tags: ['operation'],
      answers: { 200: { description: 'The overview', schema: OverviewAnswer } },
      async handle() {
        const [states, presences] = await Promise.all([engine.types(), readPresences(engine)])
        const overview: OverviewAnswer = { engine: engine.kind, version, counts: total(states), ...presences }
        return json(200, overview)
      },
    }),
  ]
}

const SWITCHES = {
  pause: {
    summary: 'Pause a type',
    description:
      'A paused type takes submissions and runs none; a type that is not known yet may be paused, so that nothing of it runs too early.',
  },
  resume: { summary: 'Resume a type' },
}

function switchRoute(engine: Engine, verb: 'pause' | 'resume'): Route {
  return route({
    method: 'POST',
    path: `/api/types/:type/${verb}`,
    access: { store: 'admin' },
    params: z.object({ type: TypeName }),
    missing: 'no job type has such a name',
    operationId: `${verb}Type`,
    ...SWITCHES[verb],
    tags: ['types'],
    answers: {
      200: { description: 'How it is now', schema: z.object({ type: z.string(), paused: z.boolean() }) },
    },
    problems: ['outcome_unknown'],
    async handle({ params: { type } }) {
      await engine[verb](type)
      return json(200, { type, paused: verb === 'pause' })
    },
  })
}

function describe(state: TypeState, workers: readonly WorkerInfo[], registry: TypeRegistry): TypeInfo {
  const running = workers.filter(({ types }) => types.includes(state.type))
  const atMost = registry.definitions.get(state.type)?.concurrency ?? Number.POSITIVE_INFINITY
  return {
    type: state.type,
    counts: state.counts,
    paused: state.paused,
    concurrency: running.reduce((sum, { concurrency }) => sum + Math.min(concurrency, atMost), 0),
    workers: running.length,
    payloadSchema: state.registration?.payloadSchema ?? null,
    resultSchema: state.registration?.resultSchema ?? null,
  }
}

function total(states: readonly TypeState[]): StatusCounts {
  return perStatus((status) => states.reduce((all, { counts }) => all + counts[status], 0))
}

/** The live processes that share this store. What does not have the shape, as from a later version, is left out. */
async function readPresences(engine: Engine): Promise<{ workers: WorkerInfo[]; gateways: GatewayInfo[] }> {
  const workers: WorkerInfo[] = []
  const gateways: GatewayInfo[] = []
  for (const { role, info } of await engine.presences()) {
    if (role === 'worker') {
      const worker = WorkerInfo.safeParse(info)
      if (worker.success) workers.push(worker.data)
    } else {
      const gateway = GatewayInfo.safeParse(info)
      if (gateway.success) gateways.push(gateway.data)
    }
  }
  return { workers, gateways }
}

export interface ProbeDeps {
  readonly engine: Engine
  readonly metrics: Metrics
  /** Why the process is not ready, the store apart; null where it is. */
  readonly readiness: () => string | null
  /** What does not go well though the process is ready, the store apart, a sentence each. */
  readonly warnings: () => Awaitable<readonly string[]>
}

/** What a worker serves as well. */
export function probeRoutes({ engine, metrics, readiness, warnings }: ProbeDeps): Route[] {
  return [
    // It asks nothing but whether the process answers: a store that is away is no reason to restart it.
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
