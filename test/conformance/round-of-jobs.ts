import { expect } from 'vitest'
import { addUpTo, type JobShape, type Kit, listAll, newJob, present } from './harness.ts'

const chunk = (data: string) => ({ kind: 'chunk', data }) as const

/**
 * Takes jobs through every way of living and ending, and has all of them forgotten. Whatever a store holds
 * afterwards that it did not hold after an earlier round was left behind.
 */
export async function roundOfJobs(kit: Kit, jobs: number): Promise<void> {
  const shape: JobShape = {
    payload: { text: 'x'.repeat(300) },
    tags: ['one', 'two'],
    policy: { retainMs: 1000 },
  }
  const { raw } = kit
  for (let n = 0; n < jobs; n++) {
    await raw.submit({ jobs: [newJob(shape), newJob({ ...shape, when: { delayMs: 1 } })] })
    await kit.promoted()
    const [completed, other] = await kit.claim({ limit: 2, leaseMs: 2000 })
    const events = [chunk('y'.repeat(500)), { kind: 'progress', data: { percent: 1, note: null } }] as const
    await kit.report(present(completed, 'run'), ...events)
    await kit.settle(present(completed, 'run'), { kind: 'completed', result: 'z'.repeat(300) }, [
      chunk('last'),
    ])
    await kit.settle(present(other, 'run'), { kind: 'retry', error: 'x', errorCode: 'timeout', delayMs: 0 })
    await kit.promoted()
    await kit.settle(await kit.claimOne({ leaseMs: 2000 }), { kind: 'later', delayMs: 0 })
    await kit.promoted()
    const stalled = await kit.claimOne({ leaseMs: 1 })
    await kit.rescued()
    await kit.settle(await kit.claimOne({ leaseMs: 2000 }), {
      kind: 'failed',
      error: 'x',
      errorCode: 'timeout',
    })
    expect(await kit.engine.retry(stalled.jobId)).toMatchObject({ ok: true })
    const run = await kit.claimOne({ leaseMs: 2000 })
    await kit.engine.cancel(run.jobId)
    await kit.settle(run, { kind: 'released' })

    const removed = await kit.submit({ ...shape, policy: { retainMs: 3_600_000 } })
    const last = await kit.claimOne({ leaseMs: 2000 })
    await kit.report(last, chunk('y'))
    await kit.settle(last, { kind: 'completed', result: null })
    await kit.engine.remove(removed)
    await kit.engine.cancel(await kit.submit({ ...shape, when: { delayMs: 3_600_000 } }))
    await kit.engine.cancel(await kit.submit(shape))
  }
  const prune = async () => (await kit.engine.prune({ limit: 200 })).pruned
  await addUpTo(4 * jobs, `${4 * jobs} jobs to be forgotten`, prune)
  expect(await listAll(raw)).toEqual([])
}
