/** The limit: a request that Hono holds until it is told to answer, and nothing else. */
import { serve as listen } from '@hono/node-server'
import { Hono } from 'hono'
import { serve } from '../harness/serve.mjs'

let held = []
const app = new Hono()
app.get('/held', async (context) => {
  await new Promise((resolve) => held.push(resolve))
  return context.json({ held: true })
})
const port = await new Promise((resolve) => {
  listen({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, (address) => resolve(address.port))
})

serve({
  url: () => `http://127.0.0.1:${port}`,
  held: () => held.length,
  release() {
    for (const resolve of held) resolve()
    held = []
  },
})
