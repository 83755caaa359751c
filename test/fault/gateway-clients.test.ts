import fc from 'fast-check'
import { describe, expect } from 'vitest'
import { TestSocket } from '../helpers/gateway.ts'
import { TRANSPORTS } from '../helpers/subscriber/wires.ts'
import { until } from '../helpers/until.ts'
import { faultTest } from './harness/fault-test.ts'
import { metricsOf } from './harness/footprint.ts'
import { isSoak } from './harness/repetitions.ts'

const SEEDS = isSoak ? 10_000 : 300
/** Frames that a connection may send at once are 512. */
const SEEDS_A_CONNECTION = 40

const operations = fc.array(
  fc.record({
    job: fc.nat({ max: 2 }),
    op: fc.constantFrom('subscribe', 'subscribe', 'unsubscribe'),
    /** From the first event, or with a snapshot. */
    after: fc.boolean(),
    pause: fc.boolean(),
  }),
  { minLength: 1, maxLength: 10 },
)

describe('restless clients', () => {
  faultTest(
    'a client that drops every 0–500 ms and changes transport each time',
    { on: ['redis'] },
    async (lab) => {
      await lab.start({ apis: 2 })
      const jobIds = await lab.submitMany(4, { type: 'steps', payload: { steps: 80, stepMs: 60 } })
      let longestMs = 500
      const restless = jobIds.flatMap((jobId) =>
        Array.from({ length: 10 }, (_, index) => {
          let turn = index
          return lab.watch(jobId, {
            transport: () => TRANSPORTS[turn++ % TRANSPORTS.length] ?? 'websocket',
            dropAfter: () => Math.random() * longestMs,
            comeBackAfter: () => 0,
          })
        }),
      )
      for (const jobId of jobIds) await lab.untilEnded(jobId)
      // On a busy machine half a second may not be enough to be told anything at all.
      longestMs = 10_000
      lab.over()
      expect(restless.flatMap(({ legs }) => legs).length).toBeGreaterThan(150)
    },
  )

  faultTest(
    'subscribe and unsubscribe in random order, with duplicates',
    { on: ['redis'], soak: 1, times: SEEDS },
    async (lab) => {
      await lab.start({ apis: 2 })
      const jobIds = await Promise.all([0, 1, 2].map(() => lab.submit({ type: 'endless' })))
      const cursors = await Promise.all(jobIds.map(async (jobId) => (await lab.job(jobId)).cursor))
      const watched = jobIds.length
      const open = (seed: number) =>
        new TestSocket(`${(lab.apis[seed % 2] ?? lab.api).url.replace('http', 'ws')}/ws`).opened()
      let client = await open(0)
      let seeds = 0
      await fc.assert(
        fc.asyncProperty(operations, async (sequence) => {
          seeds += 1
          if (seeds % SEEDS_A_CONNECTION === 0) {
            client.ws.terminate()
            client = await open(seeds / SEEDS_A_CONNECTION)
          }
          const since = client.frames.length
          for (const { job, op, after, pause } of sequence) {
            client.send({
              op,
              jobId: jobIds[job],
              ...(op === 'subscribe' && after && { after: cursors[job] }),
            })
            if (pause) await new Promise((resolve) => setImmediate(resolve))
          }
          const answersOf = (jobId: string | undefined) =>
            client.frames.slice(since).filter((frame) => 'jobId' in frame && frame.jobId === jobId)
          for (const [job, jobId] of jobIds.entries()) {
            const asked = sequence.filter((one) => one.job === job).map(({ op }) => `${op}d`)
            await until(() => answersOf(jobId).length >= asked.length, { intervalMs: 1, what: 'the answers' })
            expect(answersOf(jobId).map(({ op }) => op)).toEqual(asked)
          }
          // One state, the same for the next sequence: nothing is subscribed.
          const last = client.all('unsubscribed').length
          for (const jobId of jobIds) client.send({ op: 'unsubscribe', jobId })
          await until(() => client.all('unsubscribed').length === last + watched, { intervalMs: 1 })
        }),
        { numRuns: SEEDS },
      )
      client.ws.terminate()
      const count = async () => {
        const all = await Promise.all(lab.apis.map(metricsOf))
        return all.reduce((sum, of) => sum + of('jobcast_gateway_subscriptions'), 0)
      }
      // The lab watches each of the jobs itself.
      await until(async () => (await count()) === watched, { what: 'no subscription to be left' })
      lab.over()
      for (const jobId of jobIds) await lab.post(`/api/jobs/${jobId}/cancel`)
    },
  )
})
