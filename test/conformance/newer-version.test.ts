import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Engine, ReadResult } from '../../server/engine/engine.ts'
import { Unavailable } from '../../server/engine/errors.ts'
import { createRedisEngine } from '../../server/engine/redis/engine.ts'
import { FORMAT } from '../../server/engine/redis/server.ts'
import { openDatabase } from '../../server/engine/sqlite/database.ts'
import { createSqliteEngine } from '../../server/engine/sqlite/engine.ts'
import { Job } from '../../shared/job.ts'
import { startRedis } from '../helpers/redis.ts'
import { claimRequest, leaseOf, newJob, present } from './harness.ts'

/** A store whose jobs can be written as a newer version might. */
interface Shared {
  readonly engine: Engine
  /** What was told of words that are not known. */
  readonly told: string[]
  /** Another process's turn: the engine must not hold what it writes. */
  write(change: (store: Pen) => Promise<void> | void): Promise<Engine>
}

/** Of the job that is given. */
interface Pen {
  /** A status event with a word, and the seq that the job has with it. */
  event(seq: number, word: string): Promise<void> | void
  /** An event of a kind that runs report. */
  output(seq: number, kind: string): Promise<void> | void
  status(): Promise<void> | void
  errorCode(code: string): Promise<void> | void
  /** Fields, and more behind those that are known. */
  fields(): Promise<void> | void
}

type OpenShared = (jobIdOf: () => string) => Promise<Shared>

const openRedisShared: OpenShared = async (jobIdOf) => {
  const server = await startRedis()
  onTestFinished(() => server.stop())
  const client = new Redis(server.url)
  onTestFinished(() => client.disconnect())
  const told: string[] = []
  const engine = createRedisEngine({ url: server.url, prefix: 'new', onNewer: (what) => told.push(what) })
  onTestFinished(() => engine.stop())
  await engine.start()
  const key = (name: string) => `{new:0}:${name}`
  const job = () => key(`job:${jobIdOf()}`)
  const setSeq = async (seq: number) => {
    const [, ...rest] = ((await client.hget(job(), 'state')) ?? '').split(' ')
    await client.hset(job(), 'state', [seq, ...rest].join(' '))
  }
  const pen: Pen = {
    async event(seq, word) {
      await client.hset(job(), seq, `${Date.now()} ${word} 17 {"more":1}`)
      await setSeq(seq)
      await client.publish(key(`watch:${jobIdOf()}`), `${seq} ${Date.now()} ${word} 17`)
    },
    async output(seq, kind) {
      await client.rpush(key(`lines:${jobIdOf()}`), `${seq} ${Date.now()} ${kind} {"at":0}`)
      await client.hset(job(), 'bytes', 8)
      await setSeq(seq)
    },
    async status() {
      const [seq] = ((await client.hget(job(), 'state')) ?? '').split(' ')
      await client.hset(job(), 'state', `${seq} hibernating until-spring`)
      await client.hset(key('counts'), 'hibernating work', 1)
    },
    async errorCode(code) {
      await client.hset(job(), 'failure', JSON.stringify(['its own words', code]))
    },
    async fields() {
      const [kind, born] = await client.hmget(job(), 'kind', 'born')
      await client.hset(job(), 'kind', `${kind} group=a`, 'born', `${born} owner:b`, 'mood', 'blue')
    },
  }
  return {
    engine,
    told,
    async write(change) {
      await change(pen)
      return engine
    },
  }
}

const openSqliteShared: OpenShared = async (jobIdOf) => {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-newer-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const told: string[] = []
  const open = async () => {
    const engine = createSqliteEngine({ folder, onNewer: (what) => told.push(what) })
    onTestFinished(() => engine.stop())
    await engine.start()
    return engine
  }
  let engine = await open()
  const update = (set: string, ...values: (string | number)[]) => {
    const database = openDatabase(join(folder, 'jobcast.db'))
    database
      .prepare(`UPDATE states SET ${set} WHERE n = (SELECT n FROM jobs WHERE id = ?)`)
      .run([...values, jobIdOf()])
    database.close()
  }
  const pen: Pen = {
    event: (seq, word) =>
      update(
        `seq = ?, history = history || iif(history = '', '', ',') || ?`,
        seq,
        JSON.stringify([seq, Date.now(), word, 17, { more: 1 }]),
      ),
    output(seq, kind) {
      const database = openDatabase(join(folder, 'jobcast.db'))
      database
        .prepare(
          'INSERT INTO output (seq, n, at, kind, data, bytes) SELECT ?, n, ?, ?, ?, 8 FROM jobs WHERE id = ?',
        )
        .run([seq, Date.now(), kind, '{"at":0}', jobIdOf()])
      database.close()
      update(`seq = ?, more = json_set(coalesce(more, '{}'), '$.outputs', 1)`, seq)
    },
    status: () => update('status = 17'),
    errorCode: (code) => update(`more = json_set(more, '$.errorCode', ?, '$.error', 'its own words')`, code),
    fields: () => update(`more = json_set(coalesce(more, '{}'), '$.mood', 'blue')`),
  }
  return {
    get engine() {
      return engine
    },
    told,
    async write(change) {
      await engine.stop()
      await change(pen)
      engine = await open()
      return engine
    },
  }
}

describe.each([
  ['redis', openRedisShared],
  ['sqlite', openSqliteShared],
] as const)('what a newer version has written (%s)', (kind, open) => {
  async function setUp() {
    let jobId = ''
    const shared = await open(() => jobId)
    const { engine } = shared
    const { jobs } = await engine.submit({
      jobs: [newJob({ tags: ['a b', 'c'], policy: { maxAttempts: 1 } })],
    })
    jobId = present(jobs[0], 'a job').jobId
    const [run] = await engine.claim(claimRequest())
    const outcome = { kind: 'failed', error: 'no', errorCode: 'handler_error' } as const
    await engine.settle({ settlements: [{ ...leaseOf(present(run, 'a run')), outcome, events: [] }] })
    const before = present(await engine.get(jobId), 'the job')
    const read = async (seq: number | null, history = false): Promise<ReadResult> => {
      const after = seq === null ? null : { epoch: shared.engine.feed.epoch, seq }
      const [answer] = await shared.engine.feed.read([{ jobId, after, history, withJob: true }])
      return present(answer, 'an answer')
    }
    return { shared, jobId, before, read }
  }

  const seqs = ({ events }: ReadResult) => events.map(({ seq }) => seq)

  test('a status event with an unknown word counts as no longer retained, and what follows is told', async () => {
    const { shared, jobId, before, read } = await setUp()
    await shared.write((pen) => pen.event(4, 'hibernated'))
    expect(seqs(await read(null, true))).toEqual([1, 2, 3])
    for (const seq of [1, 3]) {
      const resumed = await read(seq)
      expect(resumed).toMatchObject({ mode: 'snapshot', reason: 'trimmed', trimmed: 4, seq: 4, events: [] })
      expect(resumed.job).toEqual({ ...before, cursor: `${shared.engine.feed.epoch}.4` })
    }
    expect(await read(4)).toMatchObject({ mode: 'resume', events: [] })
    expect(await shared.engine.retry(jobId)).toMatchObject({ ok: true })
    const afterwards = await read(4)
    expect(afterwards).toMatchObject({ mode: 'resume', events: [{ seq: 5, data: { status: 'queued' } }] })
    expect(shared.told).toEqual(['event hibernated'])
  })

  test('an event of an unknown kind that a run reports is passed over, its seq accounted for', async () => {
    const { shared, read } = await setUp()
    await shared.write((pen) => pen.output(4, 'append'))
    expect(await read(3)).toMatchObject({ mode: 'resume', seq: 4, events: [] })
    expect(seqs(await read(null, true))).toEqual([1, 2, 3])
    expect(shared.told).toEqual(['event append'])
  })

  test('an unknown status is shown as one that has not ended, an unknown error code as an error of the handler', async () => {
    const { shared, jobId, before } = await setUp()
    await shared.write((pen) => pen.errorCode('too_late'))
    expect(await shared.engine.get(jobId)).toEqual({
      ...before,
      error: 'its own words',
      errorCode: 'handler_error',
    })
    const engine = await shared.write((pen) => pen.status())
    const job = present(await engine.get(jobId), 'the job')
    expect(Job.parse(job)).toMatchObject({ status: 'queued', type: 'work' })
    expect(await engine.feed.positions([jobId])).toMatchObject([{ seq: 3, status: 'queued' }])
    const { jobs } = await engine.list({ types: [], statuses: [], tags: [], limit: 10, page: null })
    expect(jobs.map((one) => one.jobId)).toEqual([jobId])
    const [type] = await engine.types()
    expect(Object.values(type?.counts ?? {}).every(Number.isInteger)).toBe(true)
    // The job is nobody's to run here, and others are.
    await engine.submit({ jobs: [newJob()] })
    expect((await engine.claim(claimRequest({ limit: 5 }))).map((claim) => claim.jobId)).not.toContain(jobId)
    await engine.promote({ limit: 200 })
    await engine.rescue({ limit: 200 })
    expect(new Set(shared.told)).toEqual(new Set(['error code too_late', expect.stringMatching(/^status /)]))
  })

  test('unknown fields, and more behind those that are known, change nothing', async () => {
    const { shared, jobId, before } = await setUp()
    await shared.write((pen) => pen.fields())
    expect(await shared.engine.get(jobId)).toEqual(before)
    expect(shared.told).toEqual([])
  })

  if (kind === 'redis') {
    test('what a newer version publishes is read', async () => {
      const { shared, jobId } = await setUp()
      const heard: unknown[] = []
      await shared.engine.feed.watch(jobId, (message) => heard.push(message))
      await shared.write((pen) => pen.event(4, 'hibernated'))
      await expect.poll(() => heard).toEqual([{ kind: 'advance', seq: 4, bytes: 0 }])
    })
  }
})

describe('the format of a Redis store', () => {
  const line = /holds what a newer version of Jobcast has written \(format 9, this one knows \d+\): install/

  async function setUp(stored?: string) {
    const server = await startRedis()
    onTestFinished(() => server.stop())
    const client = new Redis(server.url)
    onTestFinished(() => client.disconnect())
    const format = {
      get: () => client.get('{f:0}:format'),
      set: (text: string) => client.set('{f:0}:format', text),
      lose: () => client.del('{f:0}:format'),
    }
    if (stored !== undefined) await format.set(stored)
    const downs: string[] = []
    const ups: string[] = []
    const open = () => {
      const engine = createRedisEngine({
        url: server.url,
        prefix: 'f',
        onDown: (reason) => downs.push(reason),
        onUp: (epoch) => ups.push(epoch),
      })
      onTestFinished(() => engine.stop())
      return engine
    }
    return { open, format, client, downs, ups }
  }

  test('is written by the first that uses it, and again where it is gone', async () => {
    const { open, format } = await setUp()
    const engine = open()
    await engine.start()
    expect(await format.get()).toBe(`${FORMAT.version} ${FORMAT.oldest}`)
    await format.lose()
    await engine.upcoming()
    await expect.poll(format.get).toBe(`${FORMAT.version} ${FORMAT.oldest}`)
  })

  test('is raised from that of an older version, and what it demands stays', async () => {
    const { open, format } = await setUp('0 0 more')
    await open().start()
    expect(await format.get()).toBe(`${FORMAT.version} ${FORMAT.oldest}`)
  })

  test('of a newer version that this one may work beside is left as it is', async () => {
    const { open, format, downs, ups } = await setUp(`9 ${FORMAT.version} 17`)
    const engine = open()
    await engine.start()
    await engine.submit({ jobs: [newJob()] })
    expect(await engine.claim(claimRequest())).toHaveLength(1)
    await format.set(`10 ${FORMAT.version}`)
    await engine.upcoming()
    await engine.submit({ jobs: [newJob()] })
    expect(await format.get()).toBe(`10 ${FORMAT.version}`)
    expect(downs).toEqual([])
    expect(ups).toHaveLength(1)
  })

  test.each(['9 9', `9 ${FORMAT.version + 1} 1`])(
    'that wants newer ones only (%s) ends the start',
    async (text) => {
      const { open, format } = await setUp(text)
      const failure = await open()
        .start()
        .catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(Unavailable)
      expect(String(failure)).toMatch(line)
      expect(await format.get()).toBe(text)
    },
  )

  test('that nobody could have written is one of a newer version', async () => {
    const { open } = await setUp('format two')
    await expect(open().start()).rejects.toThrow(
      /\(format that it cannot read, this one knows \d+\): install/,
    )
  })

  test('that comes to want newer ones only ends all work, told once, until it does not any more', async () => {
    const { open, format, client, downs, ups } = await setUp()
    const engine = open()
    await engine.start()
    await engine.submit({ jobs: [newJob()] })
    await format.set('9 9')
    await engine.upcoming()
    for (const verb of [
      () => engine.submit({ jobs: [newJob()] }),
      () => engine.claim(claimRequest()),
      () => engine.types(),
      () => engine.check(),
    ]) {
      const failure = await verb().catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(Unavailable)
      expect(String(failure)).toMatch(line)
    }
    expect(downs).toEqual([expect.stringMatching(line)])
    expect(await client.zcard('{f:0}:queue:work')).toBe(1)
    await format.set(`9 ${FORMAT.oldest}`)
    await expect.poll(() => ups.length, { timeout: 10_000 }).toBe(2)
    expect(await engine.claim(claimRequest())).toHaveLength(1)
    expect(downs).toHaveLength(1)
  })
})
