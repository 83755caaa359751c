/** What a job server made of the usual parts loads before it listens: Hono, BullMQ's queue, Socket.IO. */
import { serve } from '@hono/node-server'
import { Queue } from 'bullmq'
import { Hono } from 'hono'
import { Server } from 'socket.io'
import { mailSchema } from './mail.mjs'

const { hostname, port } = new URL(process.env.REDIS_URL)
const queue = new Queue('mail', { connection: { host: hostname, port: Number(port) } })
const app = new Hono()
app.post('/api/jobs', async (context) => {
  const payload = mailSchema.parse(await context.req.json())
  const { id } = await queue.add('mail', payload)
  return context.json({ id }, 202)
})
const server = serve(
  { fetch: app.fetch, port: Number(process.env.PORT), hostname: '127.0.0.1' },
  (address) => {
    console.log(`listening on ${address.port}`)
  },
)
const io = new Server(server)
io.on('connection', (socket) => {
  socket.on('watch', (id) => socket.join(id))
})
process.once('SIGTERM', () => process.exit(0))
