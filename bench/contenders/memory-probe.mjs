/** Loaded into a process before its program (`--import`); see harness/memory.mjs. */
import { createServer } from 'node:net'

createServer(async (socket) => {
  // What the first collection sets free may hold more.
  for (let times = 0; times < 3; times++) {
    globalThis.gc()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, external } = process.memoryUsage()
  socket.end(String(heapUsed + external))
})
  .listen(Number(process.env.PROBE_PORT), '127.0.0.1')
  .unref()
