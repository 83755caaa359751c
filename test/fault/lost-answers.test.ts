import { describe, expect } from 'vitest'
import { faultTest } from './harness/fault-test.ts'
import { call } from './harness/http.ts'
import { callOf } from './harness/script-calls.ts'

const ON_REDIS = { on: ['redis'], redis: { proxied: true } } as const

/** Longer than a third of a lease, so that it is extended; it reports at every step. */
const LONG = { type: 'steps', payload: { steps: 20, stepMs: 50 } }

describe('an answer of Redis that is lost with its connection', () => {
  for (const verb of ['settle', 'extend', 'report'] as const) {
    faultTest(
      `the answer to ${verb === 'settle' ? 'a settle' : verb} is lost`,
      verb === 'settle' ? ON_REDIS : { ...ON_REDIS, soak: 50 },
      async (lab) => {
        await lab.start({ all: 1 })
        const lost = lab.redis.proxy.loseAnswerTo(callOf(verb))
        const jobId = await lab.submit(LONG)
        await lost
        lab.over()
        expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
        expect((await lab.runs(jobId)).map(({ what }) => what)).toEqual(['begun', 'returned'])
      },
    )
  }

  for (const verb of ['claim', 'wait'] as const) {
    faultTest(`the answer to a ${verb} is lost`, { ...ON_REDIS, soak: 50 }, async (lab) => {
      await lab.start({ all: 1 })
      const lost = lab.redis.proxy.loseAnswerTo(callOf(verb))
      // More than are handed over to who waits: some have to be claimed.
      const jobIds = await lab.submitMany(20, { type: 'steps' })
      await lost
      lab.over()
      for (const jobId of jobIds) {
        expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
      }
    })
  }

  faultTest('the answer to a submission is lost', { ...ON_REDIS, soak: 50 }, async (lab) => {
    await lab.start({ all: 1 })
    const key = crypto.randomUUID()
    const submit = () =>
      call(`${lab.api.url}/api/jobs`, 'POST', {
        body: { type: 'steps', payload: {} },
        headers: { 'Idempotency-Key': key },
      })
    const lost = lab.redis.proxy.loseAnswerTo(callOf('submit'))
    const first = await submit()
    await lost
    lab.over()
    // With a key it may be sent again on the new connection within the time there is, or be of unknown outcome.
    expect([202, 503]).toContain(first.status)
    const { jobId } = first.body as { jobId: string }
    expect(jobId).toEqual(expect.any(String))
    const again = await submit()
    expect(again.status).toBe(202)
    expect((again.body as { jobId: string }).jobId).toBe(jobId)
    lab.ledger.accept(jobId)
    lab.watch(jobId)
    expect(await lab.untilEnded(jobId)).toMatchObject({ status: 'completed' })
    expect((await lab.runs(jobId)).map(({ what }) => what)).toEqual(['begun', 'returned'])
  })
})
