import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { createClient, type JobcastClient, type TransportName } from '../../client/index.ts'
import { PollAnswer } from '../../shared/api.ts'
import type { Job } from '../../shared/job.ts'
import { HELD_JOBS, type Line, queueUp, runOne } from '../helpers/line.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const RUN_MS = 2000
const TRANSPORTS: readonly TransportName[] = ['websocket', 'sse', 'long-poll', 'polling']

function openClient(url: string, transport?: TransportName): JobcastClient {
  const client = createClient({
    baseUrl: url,
    WebSocket,
    ...(transport !== undefined && { transports: [transport] }),
  })
  onTestFinished(() => client.close())
  return client
}

async function openLine(url: string, amount: number): Promise<Line> {
  const line = await queueUp(url, amount)
  onTestFinished(() => line.close())
  return line
}

/** What a watch said of a job, each thing once: its status, and while it is queued its place, and whether that has a time. */
function record(client: JobcastClient, jobId: string): string[] {
  const seen: string[] = []
  const watch = client.watch(jobId)
  const note = () => {
    const { job, queue } = watch.getSnapshot()
    if (job === null) return
    const place = queue && `${queue.place}${queue.startsAt === null ? '' : ' with a time'}`
    const text = place ?? job.status
    if (text !== seen.at(-1)) seen.push(text)
  }
  watch.subscribe(note)
  return seen
}

function allSee(seen: readonly string[][], text: string): Promise<boolean> {
  return until(() => seen.every((one) => one.at(-1) === text), {
    what: `all to see ${text}`,
  })
}

/** Lets one after the other of a line of four go, as soon as all who watch the last have seen its place. */
async function watchItFall(line: Line, seen: readonly string[][]): Promise<void> {
  for (const place of [3, 2, 1]) {
    await allSee(seen, `${place} with a time`)
    await line.next()
  }
  await allSee(seen, 'processing')
  await line.next()
  await allSee(seen, 'completed')
  for (const one of seen) {
    const told = one.filter((text) => text !== 'queued').map((text) => text.replace(' with a time', ''))
    expect(told.filter((text, at) => text !== told[at - 1])).toEqual([
      '3',
      '2',
      '1',
      'processing',
      'completed',
    ])
  }
}

describe('one server, one job at a time', () => {
  let server: ServerProcess
  let data: Awaited<ReturnType<typeof dataFolder>>
  let earlier: Job
  beforeAll(async () => {
    data = await dataFolder()
    server = await startServer({ JOBCAST_DATA: data.path, ...HELD_JOBS })
    earlier = await runOne(server.url, RUN_MS)
  })
  afterAll(async () => {
    await server.stop()
    await data.remove()
  })

  test('the place falls over each transport, and is gone once the job runs', async () => {
    const line = await openLine(server.url, 4)
    const last = line.jobIds.at(-1) ?? ''
    await watchItFall(
      line,
      TRANSPORTS.map((transport) => record(openClient(server.url, transport), last)),
    )
  })

  test('the estimate comes from how long earlier jobs took', async () => {
    const line = await openLine(server.url, 4)
    const watch = openClient(server.url).watch(line.jobIds.at(-1) ?? '')
    const startsAt = await until(() => watch.getSnapshot().queue?.startsAt, { what: 'an estimate' })
    const runMs = Date.parse(earlier.completedAt ?? '') - Date.parse(earlier.startedAt ?? '')
    const inMs = Date.parse(startsAt) - Date.now()
    // Those of the test before were runs as well.
    expect(inMs).toBeGreaterThan(0.5 * runMs)
    expect(inMs).toBeLessThan(60_000)
    for (const _ of line.jobIds) await line.next()
    await watch.finished
  })

  test('for whoever asks plainly', async () => {
    const line = await openLine(server.url, 3)
    const url = `${server.url}/api/jobs/${line.jobIds[2]}`
    const ask = async (query: string) => PollAnswer.parse(await (await fetch(url + query)).json())
    await until(async () => (await ask('?place=0')).queue?.place === 2, { what: 'the first to run' })
    expect((await fetch(`${url}?place=-1`)).status).toBe(400)
    const plain = await fetch(url)
    expect(plain.headers.get('etag')).not.toBeNull()
    expect(Object.keys((await plain.json()) as object)).not.toContain('queue')
    for (const _ of line.jobIds) await line.next()
    await openClient(server.url).watch(line.jobIds[2] ?? '').finished
    expect(Object.keys(await ask('?place=1'))).not.toContain('queue')
  })
})

describe('two gateways on one Redis, and a worker elsewhere', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  async function open(role: string, prefix: string): Promise<ServerProcess> {
    const server = await startServer({
      REDIS_URL: redis.url,
      JOBCAST_PREFIX: prefix,
      JOBCAST_ROLE: role,
      ...HELD_JOBS,
    })
    onTestFinished(() => server.kill())
    return server
  }

  test('both tell the same places, with a time once a worker has run one', async () => {
    const [first, second] = await Promise.all([
      open('api', 'both'),
      open('api', 'both'),
      open('worker', 'both'),
    ])
    await runOne(first.url, RUN_MS)
    const line = await openLine(first.url, 4)
    const last = line.jobIds.at(-1) ?? ''
    await watchItFall(
      line,
      [first, second].map(({ url }) => record(openClient(url), last)),
    )
  })

  test('without a worker there is a place, no time, and the reason', async () => {
    const gateway = await open('api', 'without')
    const { jobIds } = await openLine(gateway.url, 2)
    const last = jobIds[1] ?? ''
    const watches = TRANSPORTS.map((transport) => openClient(gateway.url, transport).watch(last))
    const queues = () => watches.map((watch) => watch.getSnapshot().queue)
    const noWorker = { place: 2, startsAt: null, held: 'no_worker' }
    await until(() => queues().every((queue) => isDeepStrictEqual(queue, noWorker)), {
      what: 'all to hear that no worker runs it',
    })
    await open('worker', 'without')
    await until(() => queues().every((queue) => queue === null || queue.held === null), {
      what: 'all to hear that one does',
    })
  })
})
