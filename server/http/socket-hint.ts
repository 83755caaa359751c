import { SocketQuery } from '../../shared/query.ts'
import { ProblemError } from './problem.ts'
import { type Route, route } from './route.ts'

/** `/ws` for whoever comes without `Upgrade`: upgrades never get here, they are taken by the gateway. */
export function socketRoutes(): Route[] {
  return [
    route({
      method: 'GET',
      path: '/ws',
      access: 'open',
      query: SocketQuery,
      handle() {
        throw new ProblemError(
          'invalid_request',
          'this address speaks WebSocket: connect with ws:// or wss://',
          {
            headers: { upgrade: 'websocket' },
          },
        )
      },
    }),
  ]
}
