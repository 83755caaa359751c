/** The same app with nothing behind it: no store is faster than none. */
import { serve as listen } from '@hono/node-server'
import { Hono } from 'hono'
import { serve } from '../harness/serve.mjs'
import { submitRoutes } from './hono-submit.mjs'

let ids = 0
const app = new Hono()
submitRoutes(app, {
  add: async () => ({ id: String(++ids) }),
  addBulk: async (jobs) => jobs.map(() => ({ id: String(++ids) })),
})
const server = listen({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' })
serve({ port: () => server.address().port })
