/**
 * A Socket.IO server, WebSockets only: a room a job, which whoever sends `watch` joins. Events come through the Redis
 * adapter, or from BullMQ's QueueEvents where the process is given a queue to follow; then every gateway hears them
 * itself and needs no adapter.
 */
import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-adapter'
import { QueueEvents } from 'bullmq'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'
import { serve } from '../harness/serve.mjs'

const { REDIS_PORT, QUEUE } = process.env
const address = { host: '127.0.0.1', port: Number(REDIS_PORT), maxRetriesPerRequest: null }
const http = createServer()
const io = new Server(http, { transports: ['websocket'], serveClient: false })

// As its documentation recommends to save memory.
io.engine.on('connection', (socket) => {
  socket.request = null
})
io.on('connection', (socket) => {
  socket.on('watch', (jobId, acknowledge) => {
    socket.join(jobId)
    acknowledge()
  })
})

if (QUEUE !== undefined) {
  const events = new QueueEvents(QUEUE, { connection: address })
  const tell = (jobId, data) => io.to(jobId).emit('event', { jobId, kind: 'status', data })
  events.on('active', ({ jobId }) => tell(jobId, { status: 'processing' }))
  events.on('completed', ({ jobId, returnvalue }) =>
    tell(jobId, { status: 'completed', result: returnvalue }),
  )
  await events.waitUntilReady()
} else if (REDIS_PORT !== undefined) {
  const publisher = new Redis(address)
  io.adapter(createAdapter(publisher, publisher.duplicate()))
}
await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))

serve({ url: () => `http://127.0.0.1:${http.address().port}` })
