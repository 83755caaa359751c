import { describe, expect } from 'vitest'
import { submit } from '../../../helpers/api.ts'
import { dataFolder, SAMPLES, startServer } from '../../../helpers/server.ts'
import { until } from '../../../helpers/until.ts'
import { cursorAt, type Kit, type TransportTest, Watch } from '../harness.ts'

const UNKNOWN = '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11'

/** How a watch ends. */
export function endingCases(it: TransportTest): void {
  describe('how it ends', () => {
    it('a finished job: a snapshot and its end at once', async (kit) => {
      const run = await kit.gateway.run()
      await run.settle({ kind: 'failed', error: 'broken', errorCode: 'unrecoverable' })
      const watch = kit.watch(run.jobId)
      const { job } = await watch.next('snapshot')
      expect(job).toEqual(await kit.job(run.jobId))
      expect(await watch.next('end')).toEqual({ told: 'end', cursor: cursorAt(kit, 3), status: 'failed' })
    })

    it('at the last cursor of a finished job: the end alone', async (kit) => {
      const run = await kit.gateway.run()
      await run.settle({ kind: 'completed', result: null })
      const watch = kit.watch(run.jobId, { after: cursorAt(kit, 3) })
      await watch.next('end')
      expect(watch.account.sightings.slice(1)).toEqual([{ saw: 'end' }])
    })

    it('a job retried by hand is watched on from its last cursor', async (kit) => {
      const run = await kit.gateway.run()
      await run.settle({ kind: 'failed', error: 'no', errorCode: 'handler_error' })
      await kit.gateway.engine.retry(run.jobId)
      const watch = kit.watch(run.jobId, { after: cursorAt(kit, 3) })
      await watch.reached(4)
      expect(watch.events).toMatchObject([{ kind: 'status', data: { status: 'queued' } }])
      await kit.gateway.engine.cancel(run.jobId)
      expect(await watch.next('end')).toMatchObject({ status: 'cancelled' })
    })

    it('a job that is not there, or what is no id at all: not found', async (kit) => {
      for (const jobId of [
        UNKNOWN,
        'nobody',
        '{x}:y',
        'a\u0000b',
        '%2e%2e',
        'x'.repeat(5000),
        UNKNOWN.toUpperCase(),
      ]) {
        const watch = kit.watch(jobId)
        expect(await watch.next('refused')).toEqual({ told: 'refused', code: 'not_found', retry: false })
        expect(watch.account.sightings).toEqual([{ saw: 'gone' }])
      }
      expect(kit.gateway.feed.reads.filter(({ jobId }) => jobId !== UNKNOWN)).toEqual([])
    })

    it('a job that is removed under a watch which missed its end', async (kit) => {
      const run = await kit.gateway.run()
      const watch = await watchAndLoseTheEnd(kit, run.jobId, () =>
        run.settle({ kind: 'completed', result: null }),
      )
      await kit.gateway.engine.remove(run.jobId)
      await expectGone(kit, watch, 'removed')
    })

    it('a job that expires under a watch which missed its end', async (kit) => {
      const run = await kit.gateway.run(null, { retainMs: 1 })
      const watch = await watchAndLoseTheEnd(kit, run.jobId, () =>
        run.settle({ kind: 'completed', result: null }),
      )
      await until(async () => (await kit.gateway.engine.prune({ limit: 10 })).pruned === 1, {
        what: 'expiry',
      })
      await expectGone(kit, watch, 'expired')
    })

    it('SIGTERM: told when to come back, with nothing lost, and let go', async (kit) => {
      const data = await dataFolder()
      const server = await startServer({ JOBCAST_DATA: data.path, ...SAMPLES })
      const { jobId, cursor } = await submit(server.url, {
        type: 'countdown',
        payload: {},
        options: { delayMs: 60_000 },
      })
      const watch = new Watch(kit.transport, { address: server.url, jobId, after: cursor })
      await until(async () => (await openConnections(server.url)) > 0 || watch.told.length > 0, {
        what: 'the watch to stand',
      })
      expect(await server.stop()).toBe(0)
      const closed = await watch.next('closed')
      expect(watch.events).toEqual([])
      if (kit.transport === 'websocket') expect(closed.code).toBe(1012)
      if (kit.transport === 'websocket' || kit.transport === 'sse') {
        const { comeBackMs } = await watch.next('drain')
        for (const ms of comeBackMs) expect(ms >= 500 && ms <= 15_000).toBe(true)
      } else {
        // A held poll is answered with nothing, at once.
        expect(await watch.next('resume')).toEqual({ told: 'resume', events: [], cursor })
      }
      watch.close()
      await data.remove()
    })
  })
}

/** Watches; then the feed loses what `settle` publishes. */
async function watchAndLoseTheEnd(kit: Kit, jobId: string, settle: () => Promise<void>): Promise<Watch> {
  const { gateway } = kit
  const watch = kit.watch(jobId)
  await watch.next('snapshot')
  // The periodic check would find the end, and plain polling asks for itself.
  gateway.feed.down = kit.transport === 'polling'
  gateway.feed.disturb = () => {}
  await settle()
  gateway.feed.disturb = (message, deliver) => deliver(message)
  gateway.feed.down = false
  return watch
}

/** Told so by the connection itself, or, where its transport has no word for it, by the next one. */
async function expectGone(kit: Kit, watch: Watch, reason: string): Promise<void> {
  if (kit.transport === 'websocket') {
    expect(await watch.next('refused')).toEqual({ told: 'refused', code: reason, retry: false })
  } else if (kit.transport === 'sse') {
    await watch.next('closed')
    const again = kit.watch(watch.jobId, { after: watch.account.cursor })
    expect(await again.next('refused')).toMatchObject({ code: 'not_found', retry: false })
  } else {
    expect(await watch.next('refused')).toMatchObject({ code: 'not_found', retry: false })
  }
  expect(watch.events).toEqual([])
}

async function openConnections(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const lines = text.split('\n').filter((one) => one.startsWith('jobcast_gateway_connections'))
  return lines.reduce((sum, one) => sum + Number(one.slice(one.lastIndexOf(' ') + 1)), 0)
}
