import { describe, expect, test } from 'vitest'
import type { Claim, Engine, SettleRequest } from '../../server/engine/engine.ts'
import { MOST_CALLS } from '../../server/engine/two-calls.ts'
import { Exchange, SettlementQueue, WORTH_A_CALL } from '../../server/worker/exchange.ts'
import { aClaim } from '../helpers/a-run.ts'

const RUN = { deadline: Number.POSITIVE_INFINITY }

function settlement(jobId: string, bytes = 1) {
  const outcome = { kind: 'completed', result: null } as const
  return { jobId, lease: 'l', outcome, events: [], bytes, run: RUN }
}

describe('settlements that wait', () => {
  test('go in calls of a bounded size, and the largest by itself', () => {
    const queue = new SettlementQueue({ settled: () => {}, failure: () => {} })
    const sizes = [3, 3, 3, 20, 1].map((mib) => mib * 1024 * 1024)
    for (const [n, bytes] of sizes.entries()) queue.add(settlement(`j${n}`, bytes))
    const calls = []
    while (queue.length > 0) calls.push(queue.take(200).map(({ jobId }) => jobId))
    expect(calls).toEqual([['j0', 'j1'], ['j2'], ['j3'], ['j4']])
  })
})

describe('the talk with the store', () => {
  test('has runs begin in the order of the claims, whichever is answered first', async () => {
    const calls: { request: SettleRequest; answer: (claims: Claim[]) => void }[] = []
    const begun: string[] = []
    let isOpen = true
    const settle = (request: SettleRequest) =>
      new Promise((resolve) => {
        const verdicts = request.settlements.map(() => 'completed')
        calls.push({ request, answer: (claims) => resolve({ verdicts, claims }) })
      })
    const engine: Pick<Engine, 'settle' | 'claim'> = {
      settle: settle as Engine['settle'],
      claim: () => new Promise(() => {}),
    }
    const exchange = new Exchange<typeof RUN>({
      engine: engine as Engine,
      workerId: 'w',
      leaseMs: 60_000,
      room: () => (isOpen ? { limit: 2, types: [{ type: 't', limit: 2 }] } : { limit: 0, types: [] }),
      holding: () => {},
      answered: () => {},
      settled: () => {},
      called: () => {},
      random: () => 0,
      claimed: (claims) => begun.push(...claims.map(({ jobId }) => jobId)),
      failure: (_where, error) => {
        throw error
      },
    })
    for (let n = 0; n < MOST_CALLS * WORTH_A_CALL; n++) exchange.settle(settlement(`j${n}`))
    await new Promise((resolve) => setImmediate(resolve))
    isOpen = false
    expect(calls.map(({ request }) => request.settlements.length)).toEqual([WORTH_A_CALL, WORTH_A_CALL])
    const [first, second] = calls
    second?.answer([aClaim({ jobId: 'later' })])
    await new Promise((resolve) => setImmediate(resolve))
    expect(begun).toEqual([])
    first?.answer([aClaim({ jobId: 'earlier' })])
    await new Promise((resolve) => setImmediate(resolve))
    expect(begun).toEqual(['earlier', 'later'])
  })
})
