/**
 * What a careful user writes over BullMQ: the body and the payload are held to schemas, a batch is stored with one
 * call, an error is answered as JSON.
 */
import { serve as listen } from '@hono/node-server'
import { Queue } from 'bullmq'
import { Hono } from 'hono'
import { serve } from '../harness/serve.mjs'
import { submitRoutes } from './hono-submit.mjs'

const queue = new Queue('jobs', {
  connection: { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) },
})
await queue.waitUntilReady()
const app = new Hono()
submitRoutes(app, {
  add: (job) => queue.add(job.name, job.data, job.opts),
  addBulk: (jobs) => queue.addBulk(jobs),
})
const server = listen({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' })
serve({ port: () => server.address().port })
