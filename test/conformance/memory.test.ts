import { expect, onTestFinished, test } from 'vitest'
import { openEngine } from '../../server/engine/open.ts'
import { describeEngine } from './describe-engine.ts'
import { newJob, present } from './harness.ts'
import { openMemory } from './open-memory.ts'

describeEngine('memory', openMemory)

test('what is in memory is nobody else’s, and gone when the engine stops', async () => {
  const engines = await Promise.all([openEngine({ kind: 'memory' }), openEngine({ kind: 'memory' })])
  const [engine, other] = engines
  for (const one of engines) {
    onTestFinished(() => one.stop())
    await one.start()
  }
  const { jobs } = await engine.submit({ jobs: [newJob()] })
  const { jobId } = present(jobs[0], 'a job')
  expect(await engine.get(jobId)).toMatchObject({ jobId, status: 'queued' })
  expect(await other.get(jobId)).toBeNull()
  const { epoch } = engine.feed
  await engine.stop()
  await engine.start()
  expect(await engine.get(jobId)).toBeNull()
  expect(engine.feed.epoch).not.toBe(epoch)
})
