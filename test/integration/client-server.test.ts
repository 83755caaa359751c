import { afterAll, beforeAll, describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import { WebSocket } from 'ws'
import {
  type ClientOptions,
  createClient,
  type JobcastClient,
  JobcastError,
  type TransportName,
  type WatchEvent,
} from '../../client/index.ts'
import { type HostileProxy, startHostileProxy } from '../helpers/hostile-proxy.ts'
import { scriptedBrowser } from '../helpers/scripted-tabs.ts'
import { dataFolder, SAMPLES, type ServerProcess, startServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const TRANSPORTS: readonly TransportName[] = ['websocket', 'sse', 'long-poll', 'polling']

/** `of`: the test that it is for, where tests run at the same time. */
function openClient(
  options: ClientOptions,
  of: Pick<TestContext, 'onTestFinished'> = { onTestFinished },
): JobcastClient {
  const client = createClient({ WebSocket, ...options })
  of.onTestFinished(() => client.close())
  return client
}

async function openProxy(target: () => string): Promise<HostileProxy> {
  const proxy = await startHostileProxy(target)
  onTestFinished(() => proxy.close())
  return proxy
}

/** All but progress, which may be merged. */
const lasting = (events: readonly WatchEvent[]) => events.filter(({ kind }) => kind !== 'progress')

/** The chunks of a countdown. */
const stepsOf = (events: readonly WatchEvent[]) =>
  events.flatMap((event) =>
    event.kind === 'chunk' ? { seq: event.seq, step: (event.data as { step: number }).step } : [],
  )

const countdown = (payload: object) => ({ type: 'countdown', payload })

describe('with a server', () => {
  let server: ServerProcess
  let data: Awaited<ReturnType<typeof dataFolder>>
  beforeAll(async () => {
    data = await dataFolder()
    server = await startServer({ JOBCAST_DATA: data.path, ...SAMPLES })
  })
  afterAll(async () => {
    await server.stop()
    await data.remove()
  })

  test('a list is told of a batch from its ids, and of new jobs by tag', async () => {
    const client = openClient({ baseUrl: server.url })
    const tagged = client.watchList({ tag: 'told' })
    await until(() => tagged.getSnapshot().phase === 'live')
    const submission = { ...countdown({ steps: 2, stepMs: 10 }), options: { tags: ['told'] } }
    const { jobs } = await client.submitBatch(Array.from({ length: 20 }, () => submission))
    const jobIds = jobs.map(({ jobId }) => jobId)
    const batch = client.watchList({ jobIds })
    const isDone = () => {
      const listed = batch.getSnapshot().jobs
      return listed.length === 20 && listed.every(({ status }) => status === 'completed')
    }
    await until(isDone, { what: 'the batch to complete' })
    expect(batch.getSnapshot().jobs.map(({ jobId }) => jobId)).toEqual(jobIds)
    await until(() => tagged.getSnapshot().jobs.every(({ status }) => status === 'completed'))
    const listed = await client.list({ tag: 'told' })
    const byId = (one: { jobId: string }, other: { jobId: string }) => (one.jobId < other.jobId ? 1 : -1)
    expect([...tagged.getSnapshot().jobs].sort(byId)).toEqual([...listed.jobs].sort(byId))
    expect(client.connection.getSnapshot()).toEqual({ transport: 'websocket', phase: 'open' })
  })

  test('run resolves to the result, and tells of every event on the way', async () => {
    const client = openClient({ baseUrl: server.url })
    const kinds: string[] = []
    const result = await client.run(countdown({ steps: 3, stepMs: 10, logs: true }), {
      onEvent: ({ kind }) => kinds.push(kind),
    })
    expect(result).toEqual({ steps: 3 })
    expect(kinds.filter((kind) => kind === 'log')).toHaveLength(3)
    expect(kinds.filter((kind) => kind === 'status')).toHaveLength(2)
  })

  test('run rejects with the job where it did not complete, and as submit does', async () => {
    const client = openClient({ baseUrl: server.url })
    const failing = { ...countdown({ steps: 2, stepMs: 0, failAtStep: 2 }), options: { maxAttempts: 1 } }
    const failed = await client.run(failing).catch((error: unknown) => error)
    const jobId = failed instanceof JobcastError ? failed.jobIds[0] : undefined
    expect(failed).toMatchObject({
      code: 'job_failed',
      message: `job ${jobId} (countdown) failed: failed at step 2, as asked`,
      job: { jobId, status: 'failed', errorCode: 'handler_error', attempt: 1 },
    })
    const long = { ...countdown({ steps: 100, stepMs: 100 }), options: { tags: ['to-be-cancelled'] } }
    const cancelled = client.run(long)
    const named = async () => (await client.list({ tag: 'to-be-cancelled' })).jobs[0]
    await until(async () => (await named())?.status === 'processing', { what: 'the job to run' })
    await client.cancel((await named())?.jobId ?? '')
    await expect(cancelled).rejects.toMatchObject({ code: 'job_cancelled', job: { status: 'cancelled' } })
    const refused = client.run(countdown({ steps: 'many' }))
    await expect(refused).rejects.toMatchObject({ code: 'invalid_payload', job: null })
    await expect(client.run(countdown({}), Object({ abort: true }))).rejects.toThrow(TypeError)
  })

  test('run rejects where the job is forgotten before its end was seen', async () => {
    const client = openClient({ baseUrl: server.url })
    const job = countdown({ steps: 1, stepMs: 0 })
    const { jobId } = await client.submit({ ...job, idempotencyKey: 'forgotten' })
    await client.watch(jobId).finished
    await client.remove(jobId)
    const call = { idempotencyKey: 'forgotten' }
    await expect(client.run(job, call)).rejects.toMatchObject({
      code: 'not_found',
      jobIds: [jobId],
      job: null,
    })
  })

  test('an abort ends the wait of run at once, and the job where that is asked for', async () => {
    const client = openClient({ baseUrl: server.url })
    const long = countdown({ steps: 100, stepMs: 100 })
    const abandon = async (cancelOnAbort: boolean) => {
      const abort = new AbortController()
      const why = new Error('the user has left')
      const run = client.run(long, {
        signal: abort.signal,
        cancelOnAbort,
        onEvent: () => abort.abort(why),
      })
      const error = await run.catch((error: unknown) => error)
      expect(error).toMatchObject({ code: 'aborted', cause: why, job: { status: 'processing' } })
      return error instanceof JobcastError ? error : Promise.reject(error)
    }
    const left = await abandon(false)
    const [leftId = ''] = left.jobIds
    expect(left.message).toBe(`the wait for job ${leftId} was aborted; the job goes on`)
    expect(await client.get(leftId)).toMatchObject({ status: 'processing', cancelRequested: false })
    await client.cancel(leftId)
    const ended = await abandon(true)
    const [endedId = ''] = ended.jobIds
    expect(ended.message).toBe(`the wait for job ${endedId} was aborted; its cancel was requested`)
    expect(await client.watch(endedId).finished).toMatchObject({ status: 'cancelled' })
    await expect(client.run(long, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
  })

  test('a watch sees the same over each transport', async () => {
    const client = openClient({ baseUrl: server.url })
    const { jobId } = await client.submit(countdown({ steps: 8, stepMs: 60, logs: true, chunks: true }))
    const seen = await Promise.all(
      TRANSPORTS.map(async (transport) => {
        const other = openClient({ baseUrl: server.url, transports: [transport] })
        const events: WatchEvent[] = []
        const watch = other.watch(jobId, { history: true, onEvent: (event) => events.push(event) })
        const job = await watch.finished
        expect(watch.getSnapshot()).toMatchObject({ phase: 'ended', transport, error: null })
        expect(lasting(watch.getSnapshot().events)).toEqual(lasting(events))
        return { job, events: lasting(events) }
      }),
    )
    const job = await client.get(jobId)
    expect(job).toMatchObject({ status: 'completed', result: { steps: 8 } })
    for (const one of seen) expect(one).toEqual({ job, events: seen[0]?.events })
    expect(seen[0]?.events.filter(({ kind }) => kind === 'log')).toHaveLength(8)
    expect(seen[0]?.events.filter(({ kind }) => kind === 'chunk')).toHaveLength(8)
  })

  test('what is no longer kept after a cut is told in its place, over each transport and in tabs that share', async () => {
    const proxy = await openProxy(() => server.url)
    const direct = openClient({ baseUrl: server.url })
    const { jobId } = await direct.submit(countdown({ steps: 10_000, stepMs: 3, chunks: true }))
    const watchers = TRANSPORTS.map((name) => {
      const events: WatchEvent[] = []
      const onEvent = (event: WatchEvent) => void events.push(event)
      const client = openClient({ baseUrl: proxy.url, transports: [name] })
      // What came after the first answer is wanted without a history as well.
      return { name, events, watch: client.watch(jobId, { history: name !== 'sse', onEvent }) }
    })
    const browser = scriptedBrowser()
    const tabs = ['one tab', 'another tab'].map((name) => {
      const { tab, watch } = browser.openTab({ baseUrl: proxy.url, WebSocket })
      onTestFinished(() => tab.close())
      return { name, ...watch(jobId, { history: true }) }
    })
    const seen = [...watchers, ...tabs]
    const sawSome = ({ events }: { events: readonly WatchEvent[] }) => stepsOf(events).length > 10
    await until(() => seen.every(sawSome), { what: 'everybody to see chunks' })
    proxy.treatAll('refuse')
    proxy.cut()
    const last = Math.max(...seen.map(({ events }) => stepsOf(events).at(-1)?.step ?? 0))
    const stepNow = async () => ((await direct.get(jobId)).progress?.percent ?? 0) * 100
    await until(async () => (await stepNow()) > last + 1100, { what: 'the job to go on' })
    proxy.treatAll('pass')
    const isTold = ({ events }: { events: readonly WatchEvent[] }) =>
      events.some(({ kind }) => kind === 'missed')
    await until(() => seen.every(isTold), { what: 'everybody to be told' })
    await direct.cancel(jobId)
    await Promise.all(seen.map(({ watch }) => watch.finished))
    const read = await history(direct, jobId)
    const lastStep = stepsOf(read).at(-1)?.step ?? 0

    for (const { name, events, watch } of seen) {
      const holes = events.filter((event) => event.kind === 'missed')
      expect(holes, name).toHaveLength(1)
      const { from = 0, to = 0, reason } = holes[0] ?? {}
      expect(reason).toBe('trimmed')
      // Of what is shown, the newest 2,000 are kept: more may be missing there, at the beginning.
      const { missed } = watch.getSnapshot()
      expect(missed?.from, name).toBeLessThanOrEqual(from)
      expect(missed?.to, name).toBeGreaterThanOrEqual(to)
      const steps = stepsOf(events)
      expect(steps.at(-1)?.step, name).toBe(lastStep)
      const next = steps.findIndex(
        ({ step }, index) => index > 0 && step !== (steps[index - 1]?.step ?? 0) + 1,
      )
      expect(steps[next - 1]?.seq, name).toBeLessThan(from)
      // Between two chunks there may be progress.
      expect((steps[next]?.seq ?? 0) - to, name).toBeOneOf([1, 2])
      expect(
        steps.slice(next).map(({ step }) => step),
        name,
      ).toEqual(Array.from({ length: steps.length - next }, (_, index) => (steps[next]?.step ?? 0) + index))
      const seqs = events.map(({ seq }) => seq)
      expect(seqs, name).toEqual([...new Set(seqs)].sort((one, other) => one - other))
    }
    expect(read.filter(({ kind }) => kind === 'missed')).toMatchObject([{ from: 3, reason: 'trimmed' }])
    expect(stepsOf(read)[0]?.step).toBe(lastStep - 999)
  })

  test.each(TRANSPORTS)('%s: a job that is not there, and one that has ended', async (transport) => {
    const client = openClient({ baseUrl: server.url, transports: [transport] })
    const missing = client.watch('0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11')
    await expect(missing.finished).rejects.toMatchObject({ name: 'JobcastError', code: 'not_found' })
    expect(missing.getSnapshot().phase).toBe('refused')
    const { jobId } = await client.submit(countdown({ steps: 1, stepMs: 0, logs: true }))
    await client.watch(jobId).finished
    const kinds: string[] = []
    for await (const { kind } of client.watch(jobId, { history: true })) kinds.push(kind)
    expect(kinds.filter((kind) => kind !== 'progress')).toEqual(['status', 'status', 'log', 'status'])
  })

  test('many jobs over one WebSocket, beyond what one connection may subscribe to', async () => {
    const proxy = await openProxy(() => server.url)
    const client = openClient({ baseUrl: proxy.url })
    const submissions = Array.from({ length: 270 }, () => countdown({ steps: 2, stepMs: 20 }))
    const { jobs } = await client.submitBatch(submissions)
    const ended = await Promise.all(jobs.map(({ jobId }) => client.watch(jobId).finished))
    expect(new Set(ended.map(({ status }) => status))).toEqual(new Set(['completed']))
    expect(proxy.seen.socket).toBe(1)
  })

  test('commands', async () => {
    const client = openClient({ baseUrl: server.url })
    const { jobId } = await client.submit({ ...countdown({ steps: 1000 }), options: { tags: ['commands'] } })
    const watch = client.watch(jobId)
    await until(() => watch.getSnapshot().job?.status === 'processing', { what: 'the job to run' })
    expect(
      await client.list({ tag: ['commands'], status: ['processing', 'queued'], limit: 5 }),
    ).toMatchObject({
      jobs: [{ jobId }],
      nextPage: null,
    })
    await client.cancel(jobId)
    await expect(watch.finished).resolves.toMatchObject({ status: 'cancelled' })
    await expect(client.cancel(jobId)).rejects.toMatchObject({ code: 'already_finished', status: 409 })
    const { cursor } = await client.retry(jobId)
    const seen: WatchEvent[] = []
    const again = client.watch(jobId, { after: cursor, onEvent: (event) => seen.push(event) })
    await client.cancel(jobId)
    await again.finished
    expect(seen.at(-1)).toMatchObject({ data: { status: 'cancelled' } })
    expect(seen[0]?.seq).toBe(Number(cursor.split('.').at(-1)) + 1)
    await client.remove(jobId)
    await expect(client.get(jobId)).rejects.toMatchObject({ code: 'not_found' })
    expect((await client.types()).types.map(({ type }) => type)).toContain('countdown')
    expect(await client.overview()).toMatchObject({ engine: 'sqlite' })
  })

  test('bad input comes back with its paths', async () => {
    const client = openClient({ baseUrl: server.url })
    await expect(client.submit(countdown({ steps: 'many' }))).rejects.toMatchObject({
      code: 'invalid_payload',
      status: 400,
      errors: [{ path: 'payload.steps' }],
    })
    const circular: Record<string, unknown> = {}
    circular.self = circular
    await expect(client.submit(countdown(circular))).rejects.toMatchObject({ code: 'invalid_json' })
  })

  test('a job that is cancelled before it ever ran', async () => {
    const client = openClient({ baseUrl: server.url })
    const { jobId } = await client.submit({ ...countdown({}), options: { delayMs: 60_000 } })
    const watch = client.watch(jobId)
    await until(() => watch.getSnapshot().phase === 'live')
    const other = openClient({ baseUrl: server.url, transports: ['long-poll'] }).watch(jobId)
    await until(() => other.getSnapshot().phase === 'live')
    await client.cancel(jobId)
    await expect(watch.finished).resolves.toMatchObject({ status: 'cancelled' })
    await expect(other.finished).resolves.toMatchObject({ status: 'cancelled' })
  })
})

// Together, each with servers of its own: they mostly wait.
test.concurrent.for(TRANSPORTS)(
  '%s: a server killed and started again in the middle of a watch',
  async (transport, context) => {
    const data = await dataFolder()
    context.onTestFinished(() => data.remove())
    let server = await startServer({ JOBCAST_DATA: data.path, ...SAMPLES })
    context.onTestFinished(() => server.kill())
    const client = openClient({ baseUrl: server.url, transports: [transport] }, context)
    const { jobId } = await client.submit(countdown({ steps: 60, stepMs: 50, logs: true }))
    const events: WatchEvent[] = []
    const watch = client.watch(jobId, { history: true, onEvent: (event) => events.push(event) })
    await until(() => events.some(({ kind }) => kind === 'log'), { what: 'a log line' })
    await server.kill()
    await until(() => watch.getSnapshot().phase === 'reconnecting', { what: 'the loss to show' })
    server = await startServer({ JOBCAST_DATA: data.path, PORT: String(server.port), ...SAMPLES })
    await expect(watch.finished).resolves.toMatchObject({ status: 'completed', stalls: 1, attempt: 1 })
    const seqs = lasting(events).map(({ seq }) => seq)
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
    const retained = lasting(await history(client, jobId))
    expect(lasting(events)).toEqual(retained)
  },
)

test.concurrent('where keys are needed: tokens from submit, from the user, and none', async (context) => {
  const data = await dataFolder()
  context.onTestFinished(() => data.remove())
  const server = await startServer({
    JOBCAST_DATA: data.path,
    ...SAMPLES,
    JOBCAST_API_KEYS: 'app:submit:k1,eye:read:k2',
    JOBCAST_TOKEN_TTL_MS: '3000',
  })
  context.onTestFinished(() => server.kill())
  const app = openClient({ baseUrl: server.url, credential: 'k1' }, context)
  const long = await app.submit(countdown({ steps: 60, stepMs: 100 }))
  const short = await app.submit(countdown({ steps: 1, stepMs: 0 }))
  for (const transport of TRANSPORTS) {
    const stranger = openClient({ baseUrl: server.url, transports: [transport] }, context)
    await expect(stranger.watch(short.jobId).finished).rejects.toMatchObject({ code: 'unauthorized' })
    const other = stranger.watch(long.jobId, { token: short.token ?? '' })
    await expect(other.finished).rejects.toMatchObject({ code: 'not_found' })
    const eye = openClient({ baseUrl: server.url, transports: [transport], credential: 'k2' }, context)
    await expect(eye.watch(short.jobId).finished).resolves.toMatchObject({ status: 'completed' })
  }
  let asked = 0
  const renewToken = async () => {
    asked += 1
    const bearer = { authorization: 'Bearer k1' }
    const answer = await fetch(`${server.url}/api/jobs/${long.jobId}/token`, {
      method: 'POST',
      headers: bearer,
    })
    const { token }: { token: string } = JSON.parse(await answer.text())
    return token
  }
  const page = openClient({ baseUrl: server.url, renewToken }, context)
  const phases: string[] = []
  const watch = page.watch(long.jobId, { token: long.token ?? '' })
  watch.subscribe(() => phases.push(watch.getSnapshot().phase))
  await expect(watch.finished).resolves.toMatchObject({ status: 'completed' })
  expect(asked).toBeGreaterThan(0)
  expect(phases).not.toContain('refused')
})

async function history(client: JobcastClient, jobId: string): Promise<WatchEvent[]> {
  const events: WatchEvent[] = []
  for await (const event of client.watch(jobId, { history: true })) events.push(event)
  return events
}
