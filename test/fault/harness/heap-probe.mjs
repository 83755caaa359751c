// Loaded into the processes of an experiment before their program: tells whoever connects what they hold.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc')

/** A socket of the process's own; the answer is a number of bytes. */
async function listen() {
  const server = createServer(async (socket) => {
    // What the first collection sets free may hold more.
    for (let times = 0; times < 2; times += 1) {
      collectGarbage()
      await nextTurn()
    }
    const { heapUsed, external } = process.memoryUsage()
    socket.end(String(heapUsed + external))
  })
  server.unref().listen(`${process.env.JOBCAST_TEST_HEAP}${process.pid}`)
  await once(server, 'listening')
}

// Threads for isolated handlers load it too.
if (isMainThread) await listen()
