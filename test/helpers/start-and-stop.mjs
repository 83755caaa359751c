// Starts and stops a built server again and again, and tells as JSON what that has left behind in its process. Arguments: the
// store as JSON, and how many times. Run with --expose-gc.
import { readdirSync } from 'node:fs'
import { request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'ws'

const [store, times] = process.argv.slice(2).map((argument) => JSON.parse(argument))

/** What the program's environment was asked for. */
const reads = new Set()
Object.defineProperty(process, 'env', {
  value: new Proxy(process.env, {
    get(target, name) {
      reads.add(String(name))
      return target[name]
    },
  }),
})
const listeners = () => process.eventNames().map((name) => [String(name), process.listenerCount(name)])
const globals = () => new Map(Object.entries(Object.getOwnPropertyDescriptors(globalThis)))
const before = { globals: globals(), kill: process.kill, listeners: listeners() }

const { createJobServer, defineJob } = await import('../../dist/server/index.js')
const double = defineJob({ type: 'double', run: ({ n }) => n * 2 })
const server = createJobServer({ jobs: [double], store, log: false })

async function round(number) {
  const { url } = await server.listen({ port: 0 })
  const result = await server.client.run({ type: 'double', payload: { n: number } })
  if (result !== number * 2) throw new Error(`the result is ${result}`)
  await metrics(url)
  if (number % 10 === 0) await openSocket(url)
  await server.stop()
}

function metrics(url) {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/metrics`, { agent: false }, (answer) =>
      answer.resume().once('end', resolve),
    )
    asked.once('error', reject).end()
  })
}

/** It is left open for the server to close. */
function openSocket(url) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`)
    socket.once('message', resolve).once('error', reject)
  })
}

async function count() {
  // What closes may take a moment for its last word.
  for (let looks = 0; looks < 50 && process.getActiveResourcesInfo().length > 1; looks += 1) await pause(20)
  for (let turn = 0; turn < 3; turn += 1) {
    globalThis.gc()
    await pause(10)
  }
  return {
    files: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo(),
    heapBytes: process.memoryUsage().heapUsed,
  }
}

// What is loaded and compiled is there after a few rounds.
for (let number = 0; number < 20; number += 1) await round(number)
const first = await count()
for (let number = 0; number < times; number += 1) await round(number)
const last = await count()

const changed = [...globals()].filter(([name, { value }]) => {
  const was = before.globals.get(name)
  return was === undefined || ('value' in was && !Object.is(was.value, value))
})
process.stdout.write(
  JSON.stringify({
    first,
    last,
    reads: [...reads],
    listeners: { before: before.listeners, after: listeners() },
    changed: [...changed.map(([name]) => name), ...(process.kill === before.kill ? [] : ['process.kill'])],
  }),
)
