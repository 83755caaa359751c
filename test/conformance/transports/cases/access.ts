import { describe, expect } from 'vitest'
import type { ApiKey } from '../../../../server/auth/auth.ts'
import { until } from '../../../helpers/until.ts'
import { type Kit, line, type TransportTest } from '../harness.ts'

const KEYS: ApiKey[] = [
  { name: 'reader', role: 'read', key: 'read-key' },
  { name: 'writer', role: 'submit', key: 'submit-key' },
]
const WITH_KEYS = { keys: KEYS }

async function tokenOf({ gateway }: Kit, jobId: string): Promise<string> {
  const token = await gateway.auth.issue({ kind: 'key', name: 'writer', role: 'submit' }, jobId)
  if (token === null) throw new Error('no token was issued')
  return token
}

/** Who may watch. */
export function accessCases(it: TransportTest): void {
  describe('where API keys are set', () => {
    it(
      'a key of any role watches every job, a token its own',
      async (kit) => {
        const run = await kit.gateway.run()
        for (const credential of ['read-key', 'submit-key', await tokenOf(kit, run.jobId)]) {
          await kit.watch(run.jobId, { credential }).next('snapshot')
        }
      },
      WITH_KEYS,
    )

    it(
      'no credential, a wrong and a forged one: unauthorized; the token of another job: not found',
      async (kit) => {
        const [own, other] = [await kit.gateway.run(), await kit.gateway.run()]
        const token = await tokenOf(kit, own.jobId)
        const refused = async (credential?: string) => {
          const watch = kit.watch(own.jobId, credential === undefined ? {} : { credential })
          const { code, retry } = await watch.next('refused')
          expect(watch.told).toHaveLength(1)
          return { code, retry }
        }
        for (const credential of [undefined, 'wrong', `${token}x`, token.slice(0, -2)]) {
          expect(await refused(credential)).toEqual({ code: 'unauthorized', retry: false })
        }
        expect(await refused(await tokenOf(kit, other.jobId))).toEqual({ code: 'not_found', retry: false })
      },
      WITH_KEYS,
    )

    it(
      'a watch ends with its token, and goes on from its cursor with another',
      async (kit) => {
        const run = await kit.gateway.run()
        const expiring = await tokenOf(kit, run.jobId)
        const watch = kit.watch(run.jobId, { credential: expiring })
        await watch.next('snapshot')
        await run.report(line('in time'))
        await watch.reached(3)
        // A WebSocket says so; a stream ends and a poll is answered, and the next request is refused.
        const over =
          kit.transport === 'websocket' ? 'refused' : kit.transport === 'sse' ? 'closed' : 'refused'
        const last = await watch.next(over)
        if (kit.transport === 'websocket') expect(last).toMatchObject({ code: 'token_expired', retry: true })
        const refused = kit.watch(run.jobId, { credential: expiring, after: watch.account.cursor })
        expect(await refused.next('refused')).toMatchObject({ code: 'unauthorized' })
        await run.report(line('unheard'))
        const again = kit.watch(run.jobId, { credential: 'read-key', after: watch.account.cursor })
        await again.reached(4)
        expect(watch.events.map(({ seq }) => seq)).toEqual([3])
        expect(again.events.map(({ seq }) => seq)).toEqual([4])
        await until(() => kit.gateway.hub.info().subscriptions <= 1)
      },
      { ...WITH_KEYS, tokenTtlMs: 5000 },
    )
  })
}
