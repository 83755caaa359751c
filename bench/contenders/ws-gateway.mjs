/**
 * The limit: `ws` alone, which greets and does nothing else. Where it is given a Redis, a client sends the name of a
 * job and gets from then on what is published on its channel, as it comes.
 */
import { createServer } from 'node:http'
import { Redis } from 'ioredis'
import { WebSocketServer } from 'ws'
import { serve } from '../harness/serve.mjs'

const { REDIS_PORT, CHANNELS = '' } = process.env
const http = createServer()
const sockets = new WebSocketServer({ server: http, clientTracking: false, perMessageDeflate: false })
sockets.on('connection', (socket) => {
  if (REDIS_PORT === undefined) socket.on('message', () => {})
  else relay(socket)
  socket.send('hello')
})

const redis = REDIS_PORT === undefined ? null : new Redis({ host: '127.0.0.1', port: Number(REDIS_PORT) })
/** Channel -> sockets. */
const watchers = new Map()
redis?.on('messageBuffer', (channel, message) => {
  for (const socket of watchers.get(channel.latin1Slice()) ?? []) socket.send(message, { binary: false })
})

function relay(socket) {
  const channels = []
  socket.on('message', async (text) => {
    const channel = CHANNELS + text.latin1Slice()
    channels.push(channel)
    let others = watchers.get(channel)
    if (others === undefined) {
      others = new Set()
      watchers.set(channel, others)
    }
    others.add(socket)
    await redis.subscribe(channel)
    socket.send('watching')
  })
  socket.on('close', () => {
    for (const channel of channels) watchers.get(channel)?.delete(socket)
  })
}

await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))

serve({ url: () => `http://127.0.0.1:${http.address().port}` })
