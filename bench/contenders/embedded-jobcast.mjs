/** The embedded engine, called in batches as its worker calls it. */
import { newJob, openEngine } from '../harness/product.mjs'
import { serve } from '../harness/serve.mjs'

const engine = await openEngine({ kind: 'sqlite', folder: process.env.FOLDER })
let claims = 0

/** Submits a batch, ends the runs of the batch before and claims the next, all in one turn of the event loop. */
async function turn(runs, size) {
  const [, { claims: next }] = await Promise.all([
    engine.submit({ jobs: Array.from({ length: size }, (_, n) => newJob('noop', { n })) }),
    engine.settle({
      settlements: runs.map(({ jobId, lease }) => ({
        ...{ jobId, lease, events: [] },
        outcome: { kind: 'completed', result: { ok: true } },
      })),
      next: {
        ...{ claimId: `claim-${claims++}`, workerId: 'bench', limit: size, leaseMs: 15_000 },
        types: [{ type: 'noop', limit: size }],
      },
    }),
  ])
  return next
}

serve({
  /** Resolves to ms that so many lifecycles took. */
  async lifecycles(jobs, size) {
    const start = performance.now()
    let runs = []
    for (let submitted = 0; submitted < jobs; submitted += size) runs = await turn(runs, size)
    return performance.now() - start
  },
  async fill(jobs) {
    await engine.pause('noop')
    for (let first = 0; first < jobs; first += 1000) {
      await engine.submit({ jobs: Array.from({ length: 1000 }, (_, n) => newJob('noop', { n: first + n })) })
    }
    await engine.stop()
  },
})
