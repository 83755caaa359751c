// The job types of the experiments, as JOBCAST_JOBS loads them. Every run is written down where the experiment reads it.
import { setTimeout as pause } from 'node:timers/promises'
import { BAD_ANSWERS, leaveUncaught, listenBadly, misbehave, terminate } from './misbehaviour.mjs'
import { beginRun, runsBefore } from './run-log.mjs'

const ROLE = process.env.JOBCAST_ROLE

/** Goes on step by step, telling of each unless it is quiet; heeds its signal. */
async function steps({ steps = 3, stepMs = 20, quiet = false }, ctx) {
  const run = beginRun(ctx)
  for (let step = 1; step <= steps; step += 1) {
    await pause(stepMs, undefined, { signal: ctx.signal })
    if (quiet) continue
    ctx.log(`step ${step}`)
    ctx.progress((100 * step) / steps)
  }
  return run.end()
}

/** Puts out pieces of `bytes` each. */
async function pour({ pieces, bytes, everyMs }, ctx) {
  const run = beginRun(ctx)
  const text = 'x'.repeat(bytes)
  for (let piece = 1; piece <= pieces; piece += 1) {
    await pause(everyMs, undefined, { signal: ctx.signal })
    ctx.chunk({ piece, text })
  }
  return run.end()
}

/** Kills its process in its first `deaths` runs: as it starts, or when it has returned and nobody knows yet. */
async function deadly({ when, deaths }, ctx) {
  const kills = runsBefore(ctx) < deaths
  const run = beginRun(ctx)
  if (kills && when === 'started') process.kill(process.pid, 'SIGKILL')
  await pause(20)
  // Before the tick in which outcomes are sent.
  if (kills) process.nextTick(() => process.kill(process.pid, 'SIGKILL'))
  return run.end()
}

/** Blocks the event loop of its process in its first run, without keeping a core from everyone else. */
async function block({ ms }, ctx) {
  const again = runsBefore(ctx) > 0
  const run = beginRun(ctx)
  await pause(20)
  if (!again) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  return run.end()
}

/** Fails in its first run. */
async function failOnce(_payload, ctx) {
  const again = runsBefore(ctx) > 0
  const run = beginRun(ctx)
  if (!again) throw new Error('the first run fails')
  return run.end()
}

/** Goes on until it is told to stop. */
function endless(_payload, ctx) {
  beginRun(ctx)
  return new Promise((_resolve, reject) => {
    ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason), { once: true })
  })
}

/** Goes on for ever in its first run, whatever it is told. */
function hang(_payload, ctx) {
  const again = runsBefore(ctx) > 0
  const run = beginRun(ctx)
  return again ? run.end() : new Promise(() => {})
}

/** Types `schema-payload-throws` and so on: with a schema that fails when a worker asks it. */
const badSchemas = ['payload', 'result'].flatMap((which) =>
  Object.entries(BAD_ANSWERS).map(([how, answer]) => {
    // One process may be api and worker in one: then the api asks first.
    let asked = 0
    const passes = () => ROLE === 'api' || (ROLE === 'all' && which === 'payload' && asked++ % 2 === 0)
    const validate = (value) => (passes() ? { value } : answer())
    const schema = { '~standard': { version: 1, vendor: 'test', validate } }
    return { type: `schema-${which}-${how}`, [which]: schema, run: () => null, timeoutMs: 500 }
  }),
)

const isolate = new URL('./isolated.mjs', import.meta.url)

export default [
  { type: 'steps', run: steps },
  { type: 'pour', run: pour },
  { type: 'deadly', run: deadly },
  { type: 'block', run: block },
  { type: 'fail-once', run: failOnce },
  { type: 'endless', run: endless },
  { type: 'hang', run: hang },
  { type: 'misbehave', run: misbehave },
  { type: 'uncaught', run: leaveUncaught },
  { type: 'listens-badly', run: listenBadly },
  { type: 'terminate', run: terminate },
  ...badSchemas,
  { type: 'isolated', isolate },
  { type: 'isolated-too', isolate },
]
