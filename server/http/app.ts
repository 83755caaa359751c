import type { Auth } from '../auth/auth.ts'
import type { OriginPolicy } from '../auth/origin.ts'
import type { Reach } from '../auth/reach.ts'
import type { Events } from '../events.ts'
import { type App, dispatch } from './dispatch.ts'
import { jobRoutes } from './jobs.ts'
import { openApiRoute } from './openapi.ts'
import { operationRoutes, type ProbeDeps, probeRoutes } from './operation.ts'
import { loadPage } from './page.ts'
import type { Route } from './route.ts'
import { type SubmitDeps, submitRoutes } from './submit.ts'
import { watchRoutes } from './watch.ts'

export interface AppDeps extends SubmitDeps, ProbeDeps {
  readonly origins: OriginPolicy
  /** Whether there is a page. */
  readonly dashboard: boolean
  /** Folder of the built web page; null where it is not built. */
  readonly pageFolder: string | null
  /** Of the package. */
  readonly version: string
}

/** Everything that is served over HTTP; WebSocket upgrades are attached to the server elsewhere. */
export function createApp(deps: AppDeps): App {
  const { reach, auth, origins, events, dashboard, pageFolder } = deps
  return dispatch({
    routes: allRoutes(deps),
    reach,
    auth,
    origins,
    events,
    budget: deps.hub.outputBudget,
    page: dashboard ? loadPage(pageFolder, reach) : null,
  })
}

/** The one list of what there is at an address, and what can be done with it. */
export function allRoutes(deps: AppDeps): Route[] {
  const routes = [
    ...submitRoutes(deps),
    ...jobRoutes(deps),
    ...watchRoutes(deps),
    ...operationRoutes(deps),
    ...probeRoutes(deps),
  ]
  return [...routes, openApiRoute(routes, deps)]
}

/** What a worker serves for probes: `/healthz`, `/readyz` and `/metrics` (for `read` keys, where `auth` asks for any). */
export function createHealthApp(
  deps: ProbeDeps & { readonly reach: Reach; readonly auth: Auth; readonly events: Events },
): App {
  return dispatch({
    routes: probeRoutes(deps),
    reach: deps.reach,
    auth: deps.auth,
    origins: null,
    events: deps.events,
    budget: null,
    page: null,
  })
}
