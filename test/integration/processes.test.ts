import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { getJob, submit, untilJob, untilTerminal } from '../helpers/api.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'
import { watch } from '../helpers/watcher.ts'

let redis: RedisServer
let prefixes = 0

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

async function process(env: Record<string, string>): Promise<ServerProcess> {
  const server = await startServer({ JOBCAST_LEASE_MS: '3000', JOBCAST_DRAIN_MS: '500', ...SAMPLES, ...env })
  onTestFinished(() => server.kill())
  return server
}

/** Address and key prefix of a Redis-backed deployment of one test's own. */
function deployment(): Record<string, string> {
  return { REDIS_URL: redis.url, JOBCAST_PREFIX: `p${++prefixes}` }
}

async function folder(): Promise<Record<string, string>> {
  const data = await dataFolder()
  onTestFinished(() => data.remove())
  return { JOBCAST_DATA: data.path }
}

describe('several processes on one Redis', () => {
  test('a job submitted to one gateway is watched at another and run by a worker', async () => {
    const shared = deployment()
    const [a, b] = await Promise.all([
      process({ ...shared, JOBCAST_ROLE: 'api' }),
      process({ ...shared, JOBCAST_ROLE: 'api' }),
      process({ ...shared, JOBCAST_ROLE: 'worker' }),
    ])
    const { jobId } = await submit(a.url, {
      type: 'countdown',
      payload: { steps: 5, stepMs: 20, logs: true },
    })
    const watcher = await watch(b.url, jobId)
    const job = await watcher.untilEnded()
    expect(job).toMatchObject({ status: 'completed', result: { steps: 5 }, attempt: 1, stalls: 0 })
    expect(job).toEqual(await getJob(a.url, jobId))
    await watcher.close()
  })

  test('a worker killed with -9 in mid-job: the job stalls once and finishes elsewhere, watched all along', async () => {
    const shared = deployment()
    const [api, first] = await Promise.all([
      process({ ...shared, JOBCAST_ROLE: 'api' }),
      process({ ...shared, JOBCAST_ROLE: 'worker' }),
    ])
    const { jobId } = await submit(api.url, {
      type: 'countdown',
      payload: { steps: 10, stepMs: 100, logs: true },
    })
    const watcher = await watch(api.url, jobId)
    await until(() => (watcher.job?.progress?.percent ?? 0) >= 30, { what: 'the third step' })
    await first.kill()
    const second = await process({ ...shared, JOBCAST_ROLE: 'worker' })
    const job = await watcher.untilEnded()
    expect(job).toMatchObject({ status: 'completed', attempt: 1, stalls: 1 })
    expect(job).toEqual(await getJob(api.url, jobId))
    await watcher.close()
    expect(await second.stop()).toBe(0)
  })

  test('a gateway killed with -9: its watcher goes on at another from its cursor, without a gap', async () => {
    const shared = deployment()
    const [a, b] = await Promise.all([
      process({ ...shared, JOBCAST_ROLE: 'api' }),
      process({ ...shared, JOBCAST_ROLE: 'api' }),
      process({ ...shared, JOBCAST_ROLE: 'worker' }),
    ])
    const { jobId } = await submit(a.url, {
      type: 'countdown',
      payload: { steps: 20, stepMs: 50, chunks: true },
    })
    const watcher = await watch(a.url, jobId)
    await until(() => (watcher.job?.progress?.percent ?? 0) >= 25, { what: 'a quarter' })
    await a.kill()
    await watcher.reconnect(b.url)
    expect(watcher.frames.findLast(({ op }) => op === 'subscribed')).toMatchObject({ mode: 'resume' })
    const job = await watcher.untilEnded()
    expect(job).toEqual(await getJob(b.url, jobId))
    expect(watcher.seqs).toEqual([...new Set(watcher.seqs)].sort((one, other) => one - other))
    const chunks = await fetch(`${b.url}/api/jobs/${jobId}?history=1`)
    const { events } = (await chunks.json()) as { events: { seq: number; kind: string }[] }
    const kept = events.filter(({ kind }) => kind !== 'progress').map(({ seq }) => seq)
    expect(watcher.seqs).toEqual(expect.arrayContaining(kept.filter((seq) => seq >= (watcher.seqs[0] ?? 0))))
    await watcher.close()
  })

  test('every process killed with -9 with jobs queued and running: new ones finish them all', async () => {
    const shared = deployment()
    const api = await process({ ...shared, JOBCAST_ROLE: 'api' })
    const worker = await process({ ...shared, JOBCAST_ROLE: 'worker', JOBCAST_CONCURRENCY: '3' })
    const jobs = await Promise.all(
      Array.from({ length: 10 }, () =>
        submit(api.url, { type: 'countdown', payload: { steps: 4, stepMs: 50 } }),
      ),
    )
    await until(() => anyProcessing(api.url, jobs), { what: 'a running job' })
    await Promise.all([worker.kill(), api.kill()])
    const again = await process({ ...shared, JOBCAST_ROLE: 'all' })
    for (const { jobId } of jobs) {
      expect(await untilTerminal(again.url, jobId)).toMatchObject({ status: 'completed', attempt: 1 })
    }
  })

  test('a cancel given to one process stops the handler in another at once, and not with its lease', async () => {
    const shared = deployment()
    const [api] = await Promise.all([
      process({ ...shared, JOBCAST_ROLE: 'api' }),
      process({ ...shared, JOBCAST_ROLE: 'worker', JOBCAST_LEASE_MS: '60000' }),
    ])
    const { jobId } = await submit(api.url, { type: 'countdown', payload: { steps: 100, stepMs: 1000 } })
    await untilJob(api.url, jobId, ({ status }) => status === 'processing', 'to run')
    const asked = performance.now()
    const answer = await fetch(`${api.url}/api/jobs/${jobId}/cancel`, { method: 'POST' })
    expect(answer.status).toBe(202)
    const job = await untilJob(api.url, jobId, ({ status }) => status === 'cancelled', 'to be cancelled')
    // A third of the lease later it would have heard of it anyway.
    expect(performance.now() - asked).toBeLessThan(10_000)
    expect(job).toMatchObject({ error: null, errorCode: 'cancelled', cancelRequested: true })
  })

  test('an api process accepts a type that only a worker knows; its payload is checked there', async () => {
    const shared = deployment()
    const jobs = new URL('../helpers/own-jobs.mjs', import.meta.url).pathname
    await process({ ...shared, JOBCAST_ROLE: 'worker', JOBCAST_JOBS: jobs })
    const api = await process({ ...shared, JOBCAST_ROLE: 'api' })
    const good = await submit(api.url, { type: 'double', payload: { number: 21 } })
    const bad = await submit(api.url, { type: 'double', payload: { number: 'many' } })
    expect(await untilTerminal(api.url, good.jobId)).toMatchObject({ status: 'completed', result: 42 })
    expect(await untilTerminal(api.url, bad.jobId)).toMatchObject({
      status: 'failed',
      errorCode: 'invalid_payload',
      attempt: 1,
    })
  })

  test('Redis away: 503 within two seconds, with Retry-After; afterwards work goes on', async () => {
    const own = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    onTestFinished(() => own.stop())
    const server = await process({ REDIS_URL: own.url })
    const before = await submit(server.url, { type: 'countdown', payload: { steps: 3, stepMs: 10 } })
    await untilTerminal(server.url, before.jobId)
    await own.kill()
    const asked = performance.now()
    const refusal = await fetch(`${server.url}/api/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ type: 'countdown', payload: {} }),
    })
    expect(performance.now() - asked).toBeLessThan(8000)
    expect(refusal.status).toBe(503)
    expect(refusal.headers.get('Retry-After')).toMatch(/^\d+$/)
    expect(await refusal.json()).toMatchObject({
      code: expect.stringMatching(/^(unavailable|outcome_unknown)$/),
    })
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503)
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    await own.restart()
    await until(async () => (await fetch(`${server.url}/readyz`)).status === 200, {
      what: 'the server to be ready again',
    })
    expect(await getJob(server.url, before.jobId)).toMatchObject({ status: 'completed' })
    const after = await submit(server.url, { type: 'countdown', payload: { steps: 2, stepMs: 10 } })
    expect(await untilTerminal(server.url, after.jobId)).toMatchObject({ status: 'completed' })
  })
})

test('a job that a newer version changes is watched on, told anew where it has to be, and read afterwards', async () => {
  const shared = deployment()
  const server = await process({ ...shared, JOBCAST_ROLE: 'api' })
  const { jobId } = await submit(server.url, {
    type: 'countdown',
    payload: {},
    options: { delayMs: 3_600_000 },
  })
  const watcher = await watch(server.url, jobId)
  const operator = new Redis(redis.url)
  onTestFinished(() => operator.disconnect())
  const key = (name: string) => `{${shared.JOBCAST_PREFIX}:0}:${name}:${jobId}`
  const [, , due = ''] = ((await operator.hget(key('job'), 'state')) ?? '').split(' ')
  for (const seq of [2, 3]) {
    const event = `${Date.now()} postponed ${due}`
    await operator.hset(key('job'), 'state', `${seq} scheduled ${due}`, seq, event)
    await operator.publish(key('watch'), `${seq} ${event}`)
    await until(() => watcher.cursor?.endsWith(`.${seq}`), { what: 'the watcher to be told' })
  }
  expect(watcher.frames.filter(({ op }) => op === 'subscribed')).toMatchObject([
    { mode: 'snapshot', reason: 'new' },
    { mode: 'snapshot', reason: 'trimmed', trimmed: 2 },
    { mode: 'snapshot', reason: 'trimmed', trimmed: 3 },
  ])
  await fetch(`${server.url}/api/jobs/${jobId}/cancel`, { method: 'POST' })
  expect(await watcher.untilEnded()).toMatchObject({ status: 'cancelled', scheduledFor: null })
  expect(watcher.seqs).toEqual([4])
  const history = await fetch(`${server.url}/api/jobs/${jobId}?history=1`)
  expect(history.status).toBe(200)
  expect((await history.json()).events.map(({ seq }: { seq: number }) => seq)).toEqual([1, 4])
  await until(() => server.output.stderr.includes('"what":"event postponed"'), {
    what: 'the line in the log',
  })
  expect(server.output.stderr.match(/only a newer version knows/g)).toHaveLength(1)
  await watcher.close()
})

test('a store that a newer version alone may use: the process takes no work and says why, and another one does not start', async () => {
  const shared = deployment()
  const server = await process(shared)
  const operator = new Redis(redis.url)
  onTestFinished(() => operator.disconnect())
  const before = await submit(server.url, { type: 'countdown', payload: { steps: 2, stepMs: 10 } })
  await untilTerminal(server.url, before.jobId)
  const format = `{${shared.JOBCAST_PREFIX}:0}:format`
  const own = (await operator.get(format)) ?? ''
  expect(own).toMatch(/^\d+ \d+$/)
  await operator.set(format, '9 9')
  const line = /holds what a newer version of Jobcast has written \(format 9, this one knows \d+\): install/
  await until(async () => (await fetch(`${server.url}/readyz`)).status === 503, {
    what: 'the older process to be unready',
  })
  expect(await (await fetch(`${server.url}/readyz`)).text()).toMatch(line)
  const refusal = await fetch(`${server.url}/api/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ type: 'countdown', payload: {} }),
  })
  expect(refusal.status).toBe(503)
  await until(() => server.output.stderr.includes('newer version of Jobcast'), {
    what: 'the line in the log',
  })
  expect(server.output.stderr.match(/newer version of Jobcast/g)).toHaveLength(1)
  await expect(startServer(shared)).rejects.toThrow(line)
  await operator.set(format, own)
  await until(async () => (await fetch(`${server.url}/readyz`)).status === 200, {
    what: 'the process to be ready again',
  })
  expect(await getJob(server.url, before.jobId)).toMatchObject({ status: 'completed' })
})

describe('one process on the embedded engine', () => {
  test('killed with -9 and started again, it finishes what it had accepted and keeps its cursors good', async () => {
    const data = await folder()
    const first = await process({ ...data, JOBCAST_CONCURRENCY: '2' })
    const running = await submit(first.url, {
      type: 'countdown',
      payload: { steps: 20, stepMs: 50, logs: true },
    })
    const waiting = await Promise.all(
      Array.from({ length: 5 }, () =>
        submit(first.url, { type: 'countdown', payload: { steps: 2, stepMs: 10 } }),
      ),
    )
    const watcher = await watch(first.url, running.jobId)
    await until(() => (watcher.job?.progress?.percent ?? 0) >= 20, { what: 'some progress' })
    await first.kill()
    const second = await process(data)
    await watcher.reconnect(second.url)
    expect(watcher.frames.findLast(({ op }) => op === 'subscribed')).toMatchObject({ mode: 'resume' })
    expect(await watcher.untilEnded()).toMatchObject({ status: 'completed', attempt: 1, stalls: 1 })
    expect(watcher.job).toEqual(await getJob(second.url, running.jobId))
    for (const { jobId } of waiting) {
      expect(await untilTerminal(second.url, jobId)).toMatchObject({ status: 'completed' })
    }
    await watcher.close()
  })

  test('SIGTERM gives a running job back unspent, tells watchers to reconnect and exits 0', async () => {
    const data = await folder()
    const first = await process(data)
    const { jobId } = await submit(first.url, { type: 'countdown', payload: { steps: 40, stepMs: 50 } })
    const watcher = await watch(first.url, jobId)
    await until(() => watcher.job?.status === 'processing', { what: 'the job to run' })
    expect(await first.stop()).toBe(0)
    await until(() => watcher.closed, { what: 'the socket to close' })
    expect(watcher.closed?.code).toBe(1012)
    expect(watcher.frames.some(({ op }) => op === 'drain')).toBe(true)
    const second = await process(data)
    await watcher.reconnect(second.url)
    expect(await watcher.untilEnded()).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
    await watcher.close()
  })

  test('SIGTERM lets a job finish that can within the drain time', async () => {
    const data = await folder()
    const first = await process({ ...data, JOBCAST_DRAIN_MS: '10000' })
    const { jobId } = await submit(first.url, { type: 'countdown', payload: { steps: 10, stepMs: 50 } })
    await untilJob(first.url, jobId, ({ status }) => status === 'processing', 'to run')
    expect(await first.stop()).toBe(0)
    const second = await process({ ...data, JOBCAST_CONCURRENCY: '1' })
    const job = await getJob(second.url, jobId)
    expect(job).toMatchObject({ status: 'completed', attempt: 1, stalls: 0 })
  })
})

describe('a handler that leaves a failure behind', () => {
  const jobs = new URL('../helpers/own-jobs.mjs', import.meta.url).pathname

  test.each([
    ['rejection', 'a forgotten promise'],
    ['exception', 'a forgotten timer'],
  ])('after its end, a forgotten %s: the log names its job, and the process lives', async (how, message) => {
    const server = await process({ ...(await folder()), JOBCAST_JOBS: jobs })
    const { jobId } = await submit(server.url, { type: 'explode', payload: { how } })
    expect(await untilTerminal(server.url, jobId)).toMatchObject({ status: 'completed' })
    const isTold = () =>
      server.output.stderr.split('\n').some((line) => line.includes(message) && line.includes(jobId))
    await until(isTold, { what: 'the log line' })
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  })
})

async function anyProcessing(url: string, jobs: readonly { jobId: string }[]): Promise<boolean> {
  const all = await Promise.all(jobs.map(({ jobId }) => getJob(url, jobId)))
  return all.some(({ status }) => status === 'processing')
}
