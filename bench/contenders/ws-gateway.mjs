/** The limit: `ws` alone, which greets and does nothing else. */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'
import { serve } from '../harness/serve.mjs'

const http = createServer()
const sockets = new WebSocketServer({ server: http, clientTracking: false, perMessageDeflate: false })
sockets.on('connection', (socket) => {
  socket.on('message', () => {})
  socket.send('hello')
})
await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))

serve({ url: () => `http://127.0.0.1:${http.address().port}` })
