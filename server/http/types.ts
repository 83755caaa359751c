import { z } from 'zod'
import { type TypeInfo, TypeName, TypesAnswer, type WorkerInfo } from '../../shared/api.ts'
import type { Engine, TypeState } from '../engine/engine.ts'
import type { TypeRegistry } from '../jobs/registry.ts'
import { readPresences } from './presences.ts'
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
  }
}
