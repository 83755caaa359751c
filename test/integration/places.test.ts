import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { createClient, type JobcastClient, type TransportName } from '../../client/index.ts'
import { PollAnswer } from '../../shared/api.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

/** Longer than places are apart, so that each of them is seen. */
const RUN_MS = 1600
const WAIT_MS = 30_000
const countdown = (ms = RUN_MS) => ({ type: 'countdown', payload: { steps: ms / 100, stepMs: 100 } })

function openClient(url: string, transport?: TransportName): JobcastClient {
  const client = createClient({
    baseUrl: url,
    WebSocket,
    ...(transport !== undefined && { transports: [transport] }),
  })
  onTestFinished(() => client.close())
  return client
}

async function submitAll(client: JobcastClient, amount: number): Promise<string[]> {
  const jobIds: string[] = []
  while (jobIds.length < amount) jobIds.push((await client.submit(countdown())).jobId)
  return jobIds
}

/** What a watch said of a job, each thing once: its status, and while it is queued its place and whether it has a time. */
function record(client: JobcastClient, jobId: string): string[] {
  const seen: string[] = []
  const watch = client.watch(jobId)
  watch.subscribe(() => {
    const { job, queue } = watch.getSnapshot()
    if (job === null) return
    const place = queue && `${queue.place}${queue.startsAt === null ? '' : ' with a time'}`
    const text = place ?? job.status
    if (text !== seen.at(-1)) seen.push(text)
  })
  return seen
}

describe('one server, one job at a time', () => {
  let server: ServerProcess
  let data: Awaited<ReturnType<typeof dataFolder>>
  beforeAll(async () => {
    data = await dataFolder()
    server = await startServer({ JOBCAST_DATA: data.path, JOBCAST_CONCURRENCY: '1' })
    // So that it is known how long they take.
    const client = createClient({ baseUrl: server.url, WebSocket })
    await client.watch((await client.submit(countdown())).jobId).finished
    client.close()
  })
  afterAll(async () => {
    await server.stop()
    await data.remove()
  })

  test('the place falls over each transport, and is gone once the job runs', {
    timeout: WAIT_MS,
  }, async () => {
    const jobIds = await submitAll(openClient(server.url), 4)
    const last = jobIds.at(-1) ?? ''
    const transports = ['websocket', 'sse', 'long-poll', 'polling'] as const
    const seen = transports.map((transport) => record(openClient(server.url, transport), last))
    await openClient(server.url).watch(last).finished
    await until(() => seen.every((one) => one.at(-1) === 'completed'), { what: 'all to see the end' })
    for (const [index, transport] of transports.entries()) {
      const places = seen[index]?.flatMap((text) => (/^\d/.test(text) ? Number.parseInt(text, 10) : [])) ?? []
      const steps = places.filter((place, at) => place !== places[at - 1])
      // Plain polls are too far apart to see every one.
      if (transport === 'polling') expect(steps, transport).toEqual(steps.toSorted((a, b) => b - a))
      else expect(steps, transport).toEqual(expect.arrayContaining([2, 1]))
      expect(steps.length, transport).toBeGreaterThan(0)
      expect(
        seen[index]?.findLastIndex((text) => /^\d/.test(text)),
        transport,
      ).toBeLessThan(seen[index]?.indexOf('processing') ?? -1)
      expect(
        seen[index]?.some((text) => text.endsWith('with a time')),
        transport,
      ).toBe(true)
    }
  })

  test('the estimate is about right', { timeout: WAIT_MS }, async () => {
    const client = openClient(server.url)
    const [, , last = ''] = await submitAll(client, 3)
    const watch = client.watch(last)
    const startsAt = await until(() => watch.getSnapshot().queue?.startsAt, { what: 'an estimate' })
    const job = await watch.finished
    const errorMs = Date.parse(job.startedAt ?? '') - Date.parse(startsAt)
    // Workers tell every two seconds what runs; within that they may take a run for one that has just begun.
    expect(Math.abs(errorMs)).toBeLessThan(2 * RUN_MS)
  })

  test('for whoever asks plainly', { timeout: WAIT_MS }, async () => {
    const client = openClient(server.url)
    const jobIds = await submitAll(client, 3)
    const ask = async (query: string) =>
      PollAnswer.parse(await (await fetch(`${server.url}/api/jobs/${jobIds[2]}${query}`)).json())
    const { queue } = await ask('?place=0')
    expect(queue?.place).toBeGreaterThan(0)
    const refused = await fetch(`${server.url}/api/jobs/${jobIds[2]}?place=-1`)
    expect(refused.status).toBe(400)
    const plain = await fetch(`${server.url}/api/jobs/${jobIds[2]}`)
    expect(plain.headers.get('etag')).not.toBeNull()
    expect(Object.keys((await plain.json()) as object)).not.toContain('queue')
    for (const jobId of jobIds) await client.watch(jobId).finished
    expect(Object.keys(await ask('?place=1'))).not.toContain('queue')
  })
})

describe('two gateways on one Redis, and workers elsewhere', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  async function open(env: Record<string, string>): Promise<ServerProcess> {
    const server = await startServer({ REDIS_URL: redis.url, ...env })
    onTestFinished(() => server.kill())
    return server
  }

  test('both tell the same places, with times once a worker knows how long it takes', {
    timeout: 60_000,
  }, async () => {
    const gateways = await Promise.all([open({ JOBCAST_ROLE: 'api' }), open({ JOBCAST_ROLE: 'api' })])
    const [first, second] = gateways.map(({ url }) => openClient(url)) as [JobcastClient, JobcastClient]
    const worker = await open({ JOBCAST_ROLE: 'worker', JOBCAST_CONCURRENCY: '1' })
    await first.watch((await first.submit(countdown())).jobId).finished
    await worker.stop()
    const jobIds = await submitAll(first, 3)
    const [, , last = ''] = jobIds
    const seen = [first, second].map((client) => record(client, last))
    await until(() => seen.every((one) => one.includes('3')), { what: 'the last of three without a worker' })
    await open({ JOBCAST_ROLE: 'worker', JOBCAST_CONCURRENCY: '1' })
    await second.watch(last).finished
    await until(() => seen.every((one) => one.at(-1) === 'completed'), { what: 'both to see the end' })
    for (const one of seen) {
      const steps = one.flatMap((text) => (/^\d/.test(text) ? Number.parseInt(text, 10) : []))
      expect(steps.filter((place, at) => place !== steps[at - 1])).toEqual([3, 2, 1])
      expect(one).toContain('1 with a time')
      expect(one.slice(-2)).toEqual(['processing', 'completed'])
    }
  })
})
