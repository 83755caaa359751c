import { OverviewAnswer, type StatusCounts } from '../../shared/api.ts'
import type { JOB_STATUSES } from '../../shared/status.ts'
import type { Engine, TypeState } from '../engine/engine.ts'
import { readPresences } from './presences.ts'
import { json, type Route, route } from './route.ts'

export function overviewRoutes({
  engine,
  version,
}: {
  readonly engine: Engine
  readonly version: string
}): Route[] {
  return [
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

function total(states: readonly TypeState[]): StatusCounts {
  const sum = (status: (typeof JOB_STATUSES)[number]) =>
    states.reduce((all, { counts }) => all + counts[status], 0)
  return {
    scheduled: sum('scheduled'),
    queued: sum('queued'),
    processing: sum('processing'),
    completed: sum('completed'),
    failed: sum('failed'),
    cancelled: sum('cancelled'),
  }
}
