import { type TypeInfo, TypeName, type WorkerInfo } from '../../shared/api.ts'
import { NoQuery } from '../../shared/query.ts'
import type { Engine, TypeState } from '../engine/engine.ts'
import type { TypeRegistry } from '../jobs/registry.ts'
import { readNoBody } from './body.ts'
import { readPresences } from './presences.ts'
import { notFound } from './problem.ts'
import { json, type Route, route } from './route.ts'

interface TypeDeps {
  readonly engine: Engine
  readonly registry: TypeRegistry
}

export function typeRoutes({ engine, registry }: TypeDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/types',
      access: { store: 'read' },
      query: NoQuery,
      async handle() {
        const [states, { workers }] = await Promise.all([engine.types(), readPresences(engine)])
        return json(200, { types: states.map((state) => describe(state, workers, registry)) })
      },
    }),
    switchRoute(engine, 'pause'),
    switchRoute(engine, 'resume'),
  ]
}

/** A type that no worker has registered yet may be paused, so that nothing of it runs too early. */
function switchRoute(engine: Engine, verb: 'pause' | 'resume'): Route {
  return route({
    method: 'POST',
    path: `/api/types/:type/${verb}`,
    access: { store: 'admin' },
    query: NoQuery,
    async handle({ context }) {
      const type = context.req.param('type') ?? ''
      if (!TypeName.safeParse(type).success) throw notFound('no job type has such a name')
      await readNoBody(context)
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
  }
}
