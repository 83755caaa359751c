import { setTimeout as pause } from 'node:timers/promises'
import { startContender, startJobcast } from '../harness/child.mjs'
import { inFolder } from '../harness/folder.mjs'
import { JOBS_MODULE } from '../harness/product.mjs'

/** Jobs a batch -> lifecycles that are measured. */
const BATCHES = { 50: 8000, 200: 16_000 }
const WARM_UP = 4000
const DRAINED = 20_000
/** Of the jobs that are drained. */
const DRAIN_WARM_UP = 0.25
const CONCURRENCY = 100
const LOOK_EVERY_MS = 20
/** About what a transaction of 50 lifecycles writes. */
const FSYNC_BYTES = 100 * 1024

/** The embedded engine beside bare SQLite that writes the same rows in as many durable transactions. */
export default {
  name: 'embedded',
  order: 50,
  title: 'Lifecycles (submit, claim, complete) in batches, embedded engine, WAL and synchronous=FULL',
  contenders: {
    jobcast: async () => ({ ...(await inBatches('embedded-jobcast.mjs')), worker: await throughWorker() }),
    libsql: () => inBatches('embedded-libsql.mjs', bareDrain),
  },
  figures: [
    ...Object.keys(BATCHES).map((size) => ({
      ...{ id: `batch ${size}`, what: `${size} lifecycles a transaction`, unit: 'jobs/s' },
      targets: [{ to: 'libsql', atLeast: 0.7 }],
    })),
    {
      ...{ id: 'worker', what: `drained by the server's worker, concurrency ${CONCURRENCY}`, unit: 'jobs/s' },
      targets: [{ to: 'libsql', atLeast: 0.7 }],
    },
    { id: 'fsync', what: 'one fsync of 100 KiB', unit: 'ms' },
  ],
}

function inBatches(program, more = async () => ({})) {
  return inFolder(async (FOLDER) => {
    const contender = await startContender(program, { FOLDER })
    const figures = {}
    for (const [size, jobs] of Object.entries(BATCHES)) {
      await contender.call('lifecycles', WARM_UP, Number(size))
      const ms = await contender.call('lifecycles', jobs, Number(size))
      figures[`batch ${size}`] = (jobs / ms) * 1000
    }
    Object.assign(figures, await more(contender))
    await contender.stop()
    return figures
  })
}

async function bareDrain(contender) {
  await contender.call('fill', DRAINED)
  const measured = DRAINED * (1 - DRAIN_WARM_UP)
  await contender.call('drain', DRAINED - measured, CONCURRENCY)
  const ms = await contender.call('drain', measured, CONCURRENCY)
  return { worker: (measured / ms) * 1000, fsync: await contender.call('fsync', FSYNC_BYTES) }
}

/** Fills the folder while its type is paused; then the real server works it off. */
function throughWorker() {
  return inFolder(async (folder) => {
    const filler = await startContender('embedded-jobcast.mjs', { FOLDER: folder })
    await filler.call('fill', DRAINED)
    await filler.stop()
    const server = await startJobcast({
      ...{ PORT: 0, JOBCAST_DATA: folder, JOBCAST_JOBS: JOBS_MODULE, JOBCAST_CONCURRENCY: CONCURRENCY },
    })
    const reach = async (amount) => {
      for (;;) {
        const { types } = await (await fetch(`${server.url}/api/types`)).json()
        const done = types.find(({ type }) => type === 'noop').counts.completed
        if (done >= amount) return { done, at: performance.now() }
        await pause(LOOK_EVERY_MS)
      }
    }
    await reach(0)
    await fetch(`${server.url}/api/types/noop/resume`, { method: 'POST' })
    const start = await reach(DRAINED * DRAIN_WARM_UP)
    const end = await reach(DRAINED)
    await server.stop()
    return ((end.done - start.done) / (end.at - start.at)) * 1000
  })
}
