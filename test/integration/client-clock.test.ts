import { expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { createClient, type TransportName } from '../../client/index.ts'
import { dataFolder, SAMPLES, startServer } from '../helpers/server.ts'

const LADDERS: TransportName[][] = [['websocket'], ['sse'], ['long-poll'], ['polling']]

test.each([
  ['3 s slow', -3000],
  ['an hour fast', 3_600_000],
])('tokens of 4 s carry watches of 10 s on a machine whose clock is %s', async (_, offMs) => {
  const data = await dataFolder()
  onTestFinished(() => data.remove())
  const server = await startServer({
    JOBCAST_DATA: data.path,
    ...SAMPLES,
    JOBCAST_API_KEYS: 'app:submit:k1',
    JOBCAST_TOKEN_TTL_MS: '4000',
  })
  onTestFinished(() => server.kill())
  const { now } = Date
  vi.spyOn(Date, 'now').mockImplementation(() => now() + offMs)
  onTestFinished(() => void vi.restoreAllMocks())
  const app = createClient({ baseUrl: server.url, credential: 'k1' })
  onTestFinished(() => app.close())
  const payload = { steps: 100, stepMs: 100, logs: true }
  const { jobId, token = '' } = await app.submit({ type: 'countdown', payload })
  const watches = LADDERS.map((transports) => {
    let renewals = 0
    const counting: typeof fetch = (input, init) => {
      if (String(input).endsWith('/token')) renewals += 1
      return fetch(input, init)
    }
    const client = createClient({ baseUrl: server.url, WebSocket, fetch: counting, transports })
    onTestFinished(() => client.close())
    return { watch: client.watch(jobId, { token }), renewals: () => renewals, client }
  })
  for (const { watch, renewals, client } of watches) {
    await expect(watch.finished).resolves.toMatchObject({ status: 'completed' })
    expect(renewals()).toBeGreaterThan(1)
    expect(renewals()).toBeLessThanOrEqual(6)
    expect(Math.abs(client.now() - now())).toBeLessThan(1500)
  }
})
