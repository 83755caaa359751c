/** An engine (ADDRESS: as `openEngine` takes it, in JSON), called in batches, with jobs of one or many types. */
import { newJob, openEngine } from '../harness/product.mjs'
import { serve } from '../harness/serve.mjs'

const BATCH = 200
const engine = await openEngine(JSON.parse(process.env.ADDRESS))
const names = Array.from({ length: Number(process.env.TYPES ?? 1) }, (_, n) => `type-${n}`)
let submitted = 0
let claims = 0

async function submit(amount) {
  const jobs = Array.from({ length: amount }, () => {
    const n = submitted++
    return newJob(names[n % names.length], { n })
  })
  await engine.submit({ jobs })
}

function nextClaim() {
  return {
    ...{ claimId: `claim-${claims++}`, workerId: 'bench', limit: BATCH, leaseMs: 15_000 },
    types: names.map((type) => ({ type, limit: BATCH })),
  }
}

async function timed(work) {
  const start = performance.now()
  await work()
  return performance.now() - start
}

serve({
  async fill(jobs) {
    for (let done = 0; done < jobs; done += 1000) await submit(Math.min(1000, jobs - done))
  },
  /** Submits jobs, then claims and settles as many: the depth stays. Resolves to ms of both. */
  async work(jobs) {
    const submitMs = await timed(async () => {
      for (let done = 0; done < jobs; done += BATCH) await submit(BATCH)
    })
    const runMs = await timed(async () => {
      let runs = await engine.claim(nextClaim())
      for (let done = BATCH; runs.length > 0; done += BATCH) {
        const { claims } = await engine.settle({
          settlements: runs.map(({ jobId, lease }) => ({
            ...{ jobId, lease, events: [] },
            outcome: { kind: 'completed', result: { ok: true } },
          })),
          ...(done < jobs && { next: nextClaim() }),
        })
        runs = claims
      }
    })
    return { submitMs, runMs }
  },
  stop: () => engine.stop(),
})
