import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Claim, Engine, FeedMessage, NewJob, RunEvent } from '../../server/engine/engine.ts'
import { IdempotencyMismatch, Unavailable } from '../../server/engine/errors.ts'
import { openEngine } from '../../server/engine/open.ts'
import { openDatabase } from '../../server/engine/sqlite/database.ts'
import { createSqliteEngine } from '../../server/engine/sqlite/engine.ts'
import { migrate } from '../../server/engine/sqlite/migrations.ts'
import { Store } from '../../server/engine/sqlite/store.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { until } from '../helpers/until.ts'

const BUILT_ENGINE = new URL('../../dist/server/engine/sqlite/engine.js', import.meta.url).href

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-embedded-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function open(folder: string, hooks: Partial<Parameters<typeof createSqliteEngine>[0]> = {}) {
  const engine = createSqliteEngine({ folder, ...hooks })
  onTestFinished(() => engine.stop())
  await engine.start()
  return engine
}

async function refusal(start: Promise<unknown>): Promise<string> {
  const error = await start.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(Unavailable)
  const message = error instanceof Error ? error.message : ''
  expect(message).not.toContain('\n')
  return message
}

function job(shape: Partial<NewJob> = {}): NewJob {
  return { type: 'work', payload: null, policy: DEFAULT_OPTIONS, tags: [], when: { delayMs: 0 }, ...shape }
}

async function submit(engine: Engine, shape: Partial<NewJob> = {}): Promise<string> {
  const { jobs } = await engine.submit({ jobs: [job(shape)] })
  return jobs[0]?.jobId ?? ''
}

let claims = 0
function claim(engine: Engine, limit = 1): Promise<Claim[]> {
  const types = [{ type: 'work', limit }]
  return engine.claim({ claimId: `claim-${claims++}`, workerId: 'w', limit, types, leaseMs: 60_000 })
}

describe('the folder', () => {
  test('belongs to one process, and is free again when that one is killed', async () => {
    const folder = await newFolder()
    const owner = await otherProcess(folder, 'await engine.start(); say("started")')
    await owner.said('started')
    const second = createSqliteEngine({ folder })
    expect(await refusal(second.start())).toMatch(/is in use by another Jobcast process: stop it/)
    await owner.kill()
    await second.start()
    await second.stop()
  })

  test('gives a killed process what it had accepted: queued jobs wait, its runs are taken back at once', async () => {
    const folder = await newFolder()
    const owner = await otherProcess(
      folder,
      `await engine.start()
      const policy = ${JSON.stringify(DEFAULT_OPTIONS)}
      const job = (n) => ({ type: 'work', payload: n, policy, tags: [], when: { delayMs: 0 } })
      const { jobs } = await engine.submit({ jobs: [job(0), job(1), job(2)] })
      const types = [{ type: 'work', limit: 1 }]
      const request = { claimId: 'c', workerId: 'w', limit: 1, types, leaseMs: 3_600_000 }
      const [run] = await engine.claim(request)
      const events = [{ kind: 'chunk', data: 'so far' }]
      await engine.report([{ jobId: run.jobId, lease: run.lease, events }])
      say(JSON.stringify({ ids: jobs.map(({ jobId }) => jobId), lease: run.lease, epoch: engine.feed.epoch }))`,
    )
    const { ids, lease, epoch } = JSON.parse(await owner.said('{'))
    await owner.kill()

    const engine = await open(folder)
    expect(engine.feed.epoch).toBe(epoch)
    const jobs = await Promise.all(ids.map((jobId: string) => engine.get(jobId)))
    expect(jobs).toMatchObject([
      { status: 'queued', stalls: 1, attempt: 1 },
      { status: 'queued', stalls: 0 },
      { status: 'queued', stalls: 0 },
    ])
    const [read] = await engine.feed.read([{ jobId: ids[0], after: null, history: true, withJob: false }])
    expect(read?.events.map(({ seq, kind }) => [seq, kind])).toEqual([
      [1, 'status'],
      [2, 'status'],
      [3, 'chunk'],
      [4, 'status'],
    ])
    expect((await engine.types())[0]?.counts).toMatchObject({ queued: 3, processing: 0 })
    expect(await engine.extend({ leases: [{ jobId: ids[0], lease }], leaseMs: 1000 })).toEqual(['stale'])
    expect((await claim(engine, 3)).map(({ payload }) => payload)).toEqual([0, 1, 2])
  })

  test('keeps every submission that was answered before a kill', async () => {
    const folder = await newFolder()
    const owner = await otherProcess(
      folder,
      `await engine.start()
      const policy = ${JSON.stringify(DEFAULT_OPTIONS)}
      const jobs = [{ type: 'work', payload: null, policy, tags: [], when: { delayMs: 0 } }]
      for (;;) {
        const answers = await Promise.all(Array.from({ length: 20 }, () => engine.submit({ jobs })))
        for (const { jobs: [job] } of answers) say(job.jobId)
      }`,
    )
    await until(() => owner.lines.length > 500, { what: '500 submissions' })
    await owner.kill()
    const engine = await open(folder)
    const found = await Promise.all(owner.lines.map((jobId) => engine.get(jobId)))
    expect(found.filter((found) => found?.status !== 'queued')).toEqual([])
    await engine.stop()
    expect(integrity(folder)).toBe('ok')
  })

  test('keeps its epoch, and another folder has another', async () => {
    const [folder, other] = [await newFolder(), await newFolder()]
    const engine = await open(folder)
    const { epoch } = engine.feed
    expect(epoch).toMatch(/^\S{6,}$/)
    await engine.stop()
    expect((await open(folder)).feed.epoch).toBe(epoch)
    expect((await open(other)).feed.epoch).not.toBe(epoch)
  })

  test('is refused where it holds the file of a newer version', async () => {
    const folder = await newFolder()
    await (await open(folder)).stop()
    const database = openDatabase(join(folder, 'jobcast.db'))
    database.exec('PRAGMA user_version = 99')
    database.close()
    const message = await refusal(createSqliteEngine({ folder }).start())
    expect(message).toMatch(/newer version of Jobcast \(schema 99, this one knows \d+\): install/)
  })

  test('is brought up to date where it holds the file of the first version', async () => {
    const folder = await newFolder()
    const database = openDatabase(join(folder, 'jobcast.db'))
    migrate(database, 1)
    const policy = JSON.stringify({ ...DEFAULT_OPTIONS, maxStalls: 5 })
    const id = (n: number) => `0199c0de-0000-7000-8000-00000000000${n}`
    const insert = (n: number, status: string, more: string, values: string) =>
      `INSERT INTO jobs (n, id, type, status, priority, policy, tags, created_at, place, fresh, ${more})
       VALUES (${n}, '${id(n)}', 'work', '${status}', 0, '${policy}', '["t"]', ${n}000, ${n}, 1, ${values});
       INSERT INTO payloads VALUES (${n}, '{"n":${n}}');
       INSERT INTO history VALUES (${n}, 1, ${n}000, '{"status":"queued"}');`
    database.exec(`
      INSERT INTO types (type, paused) VALUES ('work', 0);
      INSERT INTO meta VALUES ('last_place', '3');
      ${insert(1, 'queued', 'stalls', '0')}
      ${insert(2, 'processing', 'seq, lease, worker, leased_until', "2, 'l', 'w', 9000000000000")}
      INSERT INTO history VALUES (2, 2, 2500, '{"status":"processing","startedAt":"1970-01-01T00:00:02.500Z"}');
      ${insert(3, 'completed', 'seq, completed_at, expires_at', '2, 3500, 9000000000000')}
      INSERT INTO results VALUES (3, '"done"');
      INSERT INTO history VALUES (3, 2, 3500, '{"status":"completed","completedAt":"1970-01-01T00:00:03.500Z"}');`)
    database.close()

    const engine = await open(folder)
    expect(await engine.get(id(1))).toMatchObject({ status: 'queued', payload: { n: 1 }, tags: ['t'] })
    expect(await engine.get(id(2))).toMatchObject({ status: 'queued', stalls: 1, maxAttempts: 3 })
    expect(await engine.get(id(3))).toMatchObject({ status: 'completed', result: 'done' })
    const requests = [2, 3].map((n) => ({ jobId: id(n), after: null, history: true, withJob: false }))
    const [second, third] = await engine.feed.read(requests)
    expect(second?.events).toMatchObject([
      { seq: 1, at: '1970-01-01T00:00:02.000Z', data: { status: 'queued' } },
      { seq: 2, data: { status: 'processing', startedAt: '1970-01-01T00:00:02.500Z' } },
      { seq: 3, data: { status: 'queued', stalls: 1 } },
    ])
    expect(third?.events.at(-1)).toMatchObject({ seq: 2, data: { status: 'completed', result: 'done' } })
    const claims = await claim(engine, 10)
    expect(claims.map(({ jobId }) => jobId)).toEqual([id(1), id(2)])
    expect((await engine.types())[0]?.counts).toMatchObject({ processing: 2, completed: 1 })
    const later = await submit(engine)
    expect((await claim(engine))[0]?.jobId).toBe(later)
    await engine.stop()
    expect(integrity(folder)).toBe('ok')
  })

  test('is brought up to date where it holds the file of the second version', async () => {
    const folder = await newFolder()
    const database = openDatabase(join(folder, 'jobcast.db'))
    migrate(database, 2)
    const id = (n: number) => `0199c0de-0000-7000-8000-00000000000${n}`
    const insert = (n: number, type: string, status: string, more: Record<string, unknown> = {}) => {
      const columns = {
        ...{ n, id: id(n), type, status, priority: 0, tags: '[]', payload: `${n}`, created_at: n * 1000 },
        ...{ place: n, fresh: 1, policy: '[0,3,2,600000,86400000,"fixed",1000,60000,0]', ...more },
      }
      const values = Object.values(columns).map((value) => (typeof value === 'number' ? value : `'${value}'`))
      database.exec(`INSERT INTO jobs (${Object.keys(columns).join()}) VALUES (${values.join()})`)
    }
    const event = (n: number, seq: number, data: string) =>
      database.exec(`INSERT INTO history VALUES (${n}, ${seq}, ${n * 1000 + seq}, '${data}')`)
    const late = 9_000_000_000_000
    database.exec(`
      INSERT INTO types (type, paused) VALUES ('work', 0), ('other', 1);
      INSERT INTO meta VALUES ('last_place', '9')`)
    const urgent = { priority: 5, policy: '[5,3,2,600000,86400000,"fixed",1000,60000,0]' }
    insert(1, 'work', 'queued', { seq: 4, place: 9, fresh: 0, tags: '["t"]' })
    event(1, 2, '["scheduled",500]')
    event(1, 3, '["promoted"]')
    event(1, 4, '["released"]')
    insert(2, 'work', 'queued')
    insert(3, 'work', 'queued', urgent)
    insert(4, 'other', 'processing', { seq: 3, outputs: 1, output_bytes: 5, started_at: 4002, stalls: 1 })
    event(4, 2, '["claimed"]')
    database.exec(`INSERT INTO output VALUES (4, 3, 4003, 'chunk', 5, '"out"')`)
    const ended = { completed_at: 5000, expires_at: late, settled_lease: 'l' }
    insert(5, 'other', 'completed', { ...ended, seq: 3, result: '{"ok":true}', settled_as: 'completed' })
    event(5, 3, `["completed",${late}]`)
    const failure = { error: '"bad\\u0000"', error_code: 'timeout', settled_as: 'failed' }
    const progress = { progress: '{"percent":5,"note":null}', progress_seq: 2, progress_at: 6002 }
    insert(6, 'other', 'failed', { ...ended, ...failure, ...progress, seq: 3, cancel_requested: 1 })
    insert(7, 'other', 'scheduled', { seq: 1, scheduled_for: late, fresh: 0, attempt: 2 })
    insert(8, 'other', 'cancelled', { seq: 2, completed_at: 8000, expires_at: 8001 })
    database.close()

    const engine = await open(folder)
    const plain = { attempt: 1, stalls: 0, cancelRequested: false, progress: null, error: null, tags: [] }
    expect(await engine.get(id(1))).toMatchObject({ ...plain, status: 'queued', payload: 1, tags: ['t'] })
    expect(await engine.get(id(2))).toMatchObject({ ...plain, status: 'queued', priority: 0 })
    expect(await engine.get(id(3))).toMatchObject({ ...plain, status: 'queued', priority: 5 })
    expect(await engine.get(id(4))).toMatchObject({ ...plain, status: 'queued', stalls: 2, type: 'other' })
    expect(await engine.get(id(5))).toMatchObject({ ...plain, status: 'completed', result: { ok: true } })
    expect(await engine.get(id(6))).toMatchObject({
      ...{ status: 'failed', error: 'bad\0', errorCode: 'timeout', cancelRequested: true },
      progress: { percent: 5, note: null },
    })
    expect(await engine.get(id(7))).toMatchObject({ ...plain, status: 'scheduled', attempt: 2 })
    expect(await engine.get(id(8))).toBeNull()
    const request = (n: number) => ({ jobId: id(n), after: null, history: true, withJob: false })
    const [moved, rescued] = await engine.feed.read([request(1), request(4)])
    expect(moved?.events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
    expect(rescued?.events.map(({ seq, kind }) => [seq, kind])).toEqual([
      ...[[1, 'status'] as const, [2, 'status'] as const, [3, 'chunk'] as const, [4, 'status'] as const],
    ])
    const counts = (await engine.types()).map(({ type, counts, paused }) => ({ type, paused, ...counts }))
    const none = { scheduled: 0, queued: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 }
    expect(counts).toEqual([
      {
        ...none,
        type: 'other',
        paused: true,
        scheduled: 1,
        queued: 1,
        completed: 1,
        failed: 1,
        cancelled: 1,
      },
      { ...none, type: 'work', paused: false, queued: 3 },
    ])
    const listed = await engine.list({ types: [], statuses: ['queued'], tags: [], limit: 9, page: null })
    expect(listed.jobs.map(({ jobId }) => jobId)).toEqual([4, 3, 2, 1].map(id))
    expect(await engine.prune({ limit: 10 })).toEqual({ pruned: 1 })
    expect((await claim(engine, 10)).map(({ jobId }) => jobId)).toEqual([3, 2, 1].map(id))
    const settled = { jobId: id(5), lease: 'l', events: [], outcome: { kind: 'released' } } as const
    expect((await engine.settle({ settlements: [settled] })).verdicts).toEqual(['completed'])
    const later = await submit(engine)
    expect((await claim(engine))[0]?.jobId).toBe(later)
    await engine.stop()
    expect(integrity(folder)).toBe('ok')
  })

  test("is refused where it holds another program's database, which stays as it is", async () => {
    const folder = await newFolder()
    const database = openDatabase(join(folder, 'jobcast.db'))
    database.exec('CREATE TABLE theirs (a)')
    database.close()
    const before = await readFile(join(folder, 'jobcast.db'))
    expect(await refusal(createSqliteEngine({ folder }).start())).toMatch(/belongs to another program/)
    expect(await readFile(join(folder, 'jobcast.db'))).toEqual(before)
  })

  test('is refused where the file is damaged, and can be used again when that is moved away', async () => {
    const folder = await newFolder()
    const file = join(folder, 'jobcast.db')
    await writeFile(file, 'no database, but longer than a page'.repeat(500))
    const engine = createSqliteEngine({ folder })
    onTestFinished(() => engine.stop())
    expect(await refusal(engine.start())).toMatch(
      /cannot be opened .*restore it from a backup, or move it away/,
    )
    await rename(file, `${file}.damaged`)
    await engine.start()
    await engine.check()
  })

  test('is refused where pages of the file are overwritten', async () => {
    const folder = await newFolder()
    const engine = await open(folder)
    await engine.submit({ jobs: Array.from({ length: 500 }, () => job()) })
    await engine.stop()
    const file = join(folder, 'jobcast.db')
    const bytes = await readFile(file)
    await writeFile(file, bytes.fill(0x5a, 4096))
    expect(await refusal(createSqliteEngine({ folder }).start())).toMatch(
      /cannot be opened \(.*malformed\): restore it/,
    )
  })

  test('is refused where nothing can be written', async () => {
    const folder = join(await newFolder(), 'file')
    await writeFile(folder, '')
    const message = await refusal(createSqliteEngine({ folder: join(folder, 'below') }).start())
    expect(message).toMatch(/cannot be written to .*make it a writable folder, or set JOBCAST_DATA/)
  })

  test('needs no log beside the file once the engine has stopped', async () => {
    const folder = await newFolder()
    const engine = await open(folder)
    const jobId = await submit(engine, { payload: 'kept' })
    await engine.stop()
    const copy = await newFolder()
    await copyFile(join(folder, 'jobcast.db'), join(copy, 'jobcast.db'))
    expect(await (await open(copy)).get(jobId)).toMatchObject({ payload: 'kept' })
  })
})

describe('writes', () => {
  afterEach(() => vi.restoreAllMocks())

  test('of one tick are one transaction', async () => {
    const engine = await open(await newFolder())
    const begin = vi.spyOn(Store.prototype, 'begin')
    // A transaction takes no more after a while, which on a busy machine may be before the last.
    vi.spyOn(performance, 'now').mockReturnValue(performance.now())
    const ids = await Promise.all(Array.from({ length: 300 }, (_, n) => submit(engine, { payload: n })))
    expect(new Set(ids).size).toBe(300)
    expect(begin).toHaveBeenCalledTimes(1)
    expect((await claim(engine, 200)).map(({ payload }) => payload)).toEqual([...Array(200).keys()])
  })

  test('of one tick see each other, in the order in which they were called', async () => {
    const engine = await open(await newFolder())
    const begin = vi.spyOn(Store.prototype, 'begin')
    const [jobId, [run], counts] = await Promise.all([submit(engine), claim(engine), engine.types()])
    expect(begin).toHaveBeenCalledTimes(1)
    expect(run?.jobId).toBe(jobId)
    expect(counts[0]?.counts.processing).toBe(1)
  })

  test('that are refused, or cannot be stored at all, do not spoil those beside them', async () => {
    const engine = await open(await newFolder())
    const keyed = (bodyHash: string) =>
      engine.submit({ jobs: [job()], idempotency: { scope: '', key: 'k', bodyHash } })
    const results = await Promise.allSettled([
      submit(engine),
      keyed('one'),
      keyed('another'),
      submit(engine, { type: 'no\0type' }),
      submit(engine),
    ])
    expect(results.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'rejected', 'rejected', 'fulfilled'],
    ])
    const [, , mismatch, unstorable] = results
    expect(mismatch).toMatchObject({ reason: expect.any(IdempotencyMismatch) })
    expect(unstorable).toMatchObject({ reason: expect.any(TypeError) })
    expect(await engine.types()).toMatchObject([{ type: 'work', counts: { queued: 3 } }])
  })

  test('that fail leave no trace in memory: counts, claims, watchers', async () => {
    const engine = await open(await newFolder())
    const jobId = await submit(engine)
    const heard = vi.fn()
    await engine.feed.watch(jobId, heard)
    const commit = vi.spyOn(Store.prototype, 'commit').mockImplementation(() => {
      throw new Error('no commit')
    })
    const request = { claimId: 'again', workerId: 'w', limit: 1, types: [{ type: 'work', limit: 1 }] }
    await expect(engine.claim({ ...request, leaseMs: 1000 })).rejects.toThrow('no commit')
    await expect(submit(engine, { type: 'fresh' })).rejects.toThrow('no commit')
    expect(heard).not.toHaveBeenCalled()
    commit.mockRestore()
    expect(await engine.get(jobId)).toMatchObject({ status: 'queued' })
    expect(await engine.types()).toMatchObject([{ type: 'work', counts: { queued: 1, processing: 0 } }])
    expect(await engine.claim({ ...request, leaseMs: 1000 })).toMatchObject([{ jobId }])
    expect(heard).toHaveBeenCalledTimes(1)
  })

  test('come back by themselves after the disk was full', async () => {
    const folder = await newFolder()
    const [onDown, onUp] = [vi.fn(), vi.fn()]
    const engine = await open(folder, { onDown, onUp })
    const before = await submit(engine)
    const full = vi.spyOn(Store.prototype, 'begin').mockImplementation(function (this: Store) {
      // A real refusal of SQLite's: the file may not grow.
      this.run('BEGIN IMMEDIATE', [])
      this.get('PRAGMA max_page_count = 1', [])
    })
    const payload = 'x'.repeat(1_000_000)
    const results = await Promise.allSettled([submit(engine, { payload }), submit(engine, { payload })])
    expect(results).toMatchObject([{ reason: expect.any(Unavailable) }, { reason: expect.any(Unavailable) }])
    expect(onDown).toHaveBeenCalledTimes(1)
    expect(onDown.mock.calls[0]?.[0]).toMatch(/full/)
    expect(await engine.get(before)).toMatchObject({ status: 'queued' })
    full.mockImplementation(function (this: Store) {
      this.run('BEGIN IMMEDIATE', [])
      this.get('PRAGMA max_page_count = 4294967294', [])
    })
    await until(() => onUp.mock.calls.length > 0, { what: 'the store to come back, with nobody calling' })
    expect(onUp).toHaveBeenCalledExactlyOnceWith(engine.feed.epoch, [])
    await submit(engine, { payload })
    expect((await engine.types())[0]?.counts.queued).toBe(2)
  })

  test('and their feed carry what was called, whatever becomes of the objects', async () => {
    const engine = await open(await newFolder())
    const jobId = await submit(engine)
    const heard: FeedMessage[] = []
    const [run] = await claim(engine)
    await engine.feed.watch(jobId, (message) => heard.push(message))
    const [chunk, result] = [{ a: [1] }, { b: [1] }]
    await engine.settle({
      settlements: [
        {
          ...{ jobId, lease: run?.lease ?? '' },
          events: [{ kind: 'chunk', data: chunk }],
          outcome: { kind: 'completed', result },
        },
      ],
    })
    chunk.a.push(2)
    result.b.push(2)
    const [read] = await engine.feed.read([{ jobId, after: null, history: true, withJob: false }])
    const retained = read?.events.slice(2).map((event) => ({ kind: 'event', event }))
    // Events may come as text, which is read now.
    const told: FeedMessage[] = JSON.parse(JSON.stringify(heard))
    expect(told).toEqual(retained)
    expect(told).toMatchObject([{ event: { data: { a: [1] } } }, { event: { data: { result: { b: [1] } } } }])
  })

  test('are refused once the file was taken away', async () => {
    const folder = await newFolder()
    const engine = await open(folder)
    await engine.check()
    await rename(join(folder, 'jobcast.db'), join(folder, 'elsewhere.db'))
    expect(await refusal(engine.check())).toMatch(/was removed or replaced while in use: restart Jobcast/)
    expect(await refusal(submit(engine))).toMatch(/restart/)
  })

  test('wait for what was called before a stop, and are refused after it', async () => {
    const folder = await newFolder()
    const engine = await open(folder)
    const submitted = submit(engine)
    await engine.stop()
    const jobId = await submitted
    await expect(submit(engine)).rejects.toBeInstanceOf(Unavailable)
    await expect(engine.get(jobId)).rejects.toBeInstanceOf(Unavailable)
    expect(await (await open(folder)).get(jobId)).toMatchObject({ status: 'queued' })
  })
})

describe('what is stored', () => {
  test.each([
    ['NUL', 'a\0b\u0000'],
    ['lone surrogates', '\ud800 and \udfff'],
    ['quotes, newlines and signs of all planes', '\'"`\\\n\r\u2028 ü 語 😀'],
    ['keys of objects', { '\0': { '\ud800': 1 }, __proto__: null, constructor: [] }],
    ['numbers at their limits', [2 ** 53, -(2 ** 63), 1e308, 5e-324, 0.1]],
    ['8 MiB', 'y'.repeat(8 * 1024 * 1024)],
  ])('comes back as it was: %s', async (_, value) => {
    const folder = await newFolder()
    let engine = await open(folder)
    const text = typeof value === 'string' ? value.slice(0, 50) : '\0 text'
    const jobId = await submit(engine, { payload: value, tags: [text] })
    const [run] = await claim(engine)
    expect(run).toMatchObject({ payload: value, tags: [text] })
    const events: RunEvent[] = [
      { kind: 'log', data: { level: 'info', line: text } },
      { kind: 'chunk', data: [text] },
      { kind: 'progress', data: { percent: 12.5, note: text } },
    ]
    const lease = { jobId, lease: run?.lease ?? '' }
    await engine.report([{ ...lease, events }])
    const outcome = { kind: 'completed', result: value } as const
    await engine.settle({ settlements: [{ ...lease, outcome, events: [] }] })
    await engine.stop()

    engine = await open(folder)
    const found = await engine.get(jobId)
    expect(found?.payload).toEqual(value)
    expect(found?.result).toEqual(value)
    expect(found).toMatchObject({ tags: [text], progress: { percent: 12.5, note: text } })
    const [read] = await engine.feed.read([{ jobId, after: null, history: true, withJob: false }])
    expect(read?.events.slice(2, 5)).toMatchObject(events)
    expect(read?.events.at(-1)?.data).toMatchObject({ result: value })
    const page = { types: [], statuses: [], tags: [text], limit: 10, page: null }
    expect((await engine.list(page)).jobs.map(({ jobId }) => jobId)).toEqual([jobId])
  })

  test('as text of any kind: errors, keys, workers, secrets', async () => {
    const engine = await open(await newFolder())
    const text = 'a\0b\ud800'
    const idempotency = { scope: text, key: text, bodyHash: text }
    const first = await engine.submit({ jobs: [job()], idempotency })
    expect(await engine.submit({ jobs: [job()], idempotency })).toEqual({ ...first, replayed: true })
    expect(await engine.secret(text, text)).toBe(text)
    expect(await engine.secret('a', 'other')).toBe('other')
    const types = [{ type: 'work', limit: 1 }]
    const [run] = await engine.claim({ claimId: text, workerId: text, limit: 1, types, leaseMs: 1000 })
    const heard = vi.fn()
    await engine.onCancel(text, heard)
    const lease = { jobId: run?.jobId ?? '', lease: run?.lease ?? '' }
    await engine.cancel(lease.jobId)
    await vi.waitFor(() => expect(heard).toHaveBeenCalledExactlyOnceWith(lease))
    await engine.retry(lease.jobId)
    const failed = { kind: 'failed', error: text, errorCode: 'timeout' } as const
    const second = await submit(engine)
    const [next] = await claim(engine)
    await engine.settle({
      settlements: [{ jobId: second, lease: next?.lease ?? '', outcome: failed, events: [] }],
    })
    expect(await engine.get(second)).toMatchObject({ error: text })
  })

  test('is a secret once and for all', async () => {
    const folder = await newFolder()
    const engine = await open(folder)
    expect(await engine.secret('token', 'first')).toBe('first')
    await engine.stop()
    expect(await (await open(folder)).secret('token', 'second')).toBe('first')
  })
})

test('a prune forgets all that has expired, step by step, and whoever writes meanwhile has a turn', async () => {
  const engine = await open(await newFolder())
  const policy = { ...DEFAULT_OPTIONS, retainMs: 1 }
  const payload = 'x'.repeat(2 * 1024 * 1024)
  const ids: string[] = []
  for (let n = 0; n < 24; n++) ids.push(await submit(engine, { policy, payload }))
  for (const jobId of ids) await engine.cancel(jobId)
  await until(async () => (await engine.get(ids.at(-1) ?? '')) === null, { what: 'the last to expire' })
  const begin = vi.spyOn(Store.prototype, 'begin')
  onTestFinished(() => {
    vi.restoreAllMocks()
  })
  const order: string[] = []
  const pruned = engine.prune({ limit: 200 }).finally(() => order.push('pruned'))
  const checked = engine.check().finally(() => order.push('checked'))
  expect(await pruned).toEqual({ pruned: 24 })
  await checked
  expect(order).toEqual(begin.mock.calls.length > 1 ? ['checked', 'pruned'] : ['pruned', 'checked'])
  expect((await engine.types())[0]?.counts).toMatchObject({ cancelled: 0 })
})

test('a run that was begun again is taken back after a kill, with all that was known of the job', async () => {
  const folder = await newFolder()
  const owner = await otherProcess(
    folder,
    `await engine.start()
    const policy = ${JSON.stringify({ ...DEFAULT_OPTIONS, maxStalls: 9 })}
    const { jobs: [{ jobId }] } = await engine.submit({
      jobs: [{ type: 'work', payload: null, policy, tags: [], when: { delayMs: 0 } }],
    })
    const types = [{ type: 'work', limit: 1 }]
    const claim = (claimId) => engine.claim({ claimId, workerId: 'w', limit: 1, types, leaseMs: 3_600_000 })
    const [run] = await claim('first')
    const events = [{ kind: 'progress', data: { percent: 50 } }]
    await engine.settle({ settlements: [{ jobId, lease: run.lease, events, outcome: { kind: 'released' } }] })
    await claim('second')
    say(jobId)`,
  )
  const jobId = await owner.said('0')
  await owner.kill()
  const engine = await open(folder)
  expect(await engine.get(jobId)).toMatchObject({ status: 'queued', stalls: 1, progress: null })
  const [read] = await engine.feed.read([{ jobId, after: null, history: true, withJob: false }])
  expect(read?.events).toMatchObject([
    { seq: 1, data: { status: 'queued' } },
    { seq: 2, data: { status: 'processing' } },
    { seq: 4, data: { status: 'queued' } },
    { seq: 5, data: { status: 'processing' } },
    { seq: 6, data: { status: 'queued', stalls: 1 } },
  ])
  expect((await engine.types())[0]?.counts).toMatchObject({ queued: 1, processing: 0 })
  expect(await claim(engine, 2)).toMatchObject([{ jobId, stalls: 1 }])
  expect(await claim(engine)).toEqual([])
})

test('a long history is kept in order, and over a restart', async () => {
  const folder = await newFolder()
  let engine = await open(folder)
  const jobId = await submit(engine)
  for (let n = 0; n < 50; n++) {
    const [run] = await claim(engine)
    const released = { jobId, lease: run?.lease ?? '', events: [], outcome: { kind: 'released' } } as const
    await engine.settle({ settlements: [released] })
  }
  const read = async (after: number) => {
    const cursor = { epoch: engine.feed.epoch, seq: after }
    const [found] = await engine.feed.read([{ jobId, after: cursor, history: true, withJob: false }])
    return found?.events.map(({ seq }) => seq)
  }
  const seqs = (first: number) => Array.from({ length: 102 - first }, (_, n) => first + n)
  expect(await read(0)).toEqual(seqs(1))
  expect(await read(97)).toEqual(seqs(98))
  await engine.stop()
  engine = await open(folder)
  expect(await read(0)).toEqual(seqs(1))
  expect(await read(60)).toEqual(seqs(61))
})

describe('lists', () => {
  test('of queued and of running jobs are those, newest first, wherever they stand in line', async () => {
    const engine = await open(await newFolder())
    const withPriority = (priority: number) => ({ policy: { ...DEFAULT_OPTIONS, priority } })
    const ids: string[] = []
    for (const priority of [0, 5, 0, 9, 5, 0]) ids.push(await submit(engine, withPriority(priority)))
    const [first, second, third, fourth, fifth, sixth] = ids
    await engine.cancel(third ?? '')
    await engine.retry(third ?? '')
    const query = { types: ['work'], tags: [], page: null }
    const listed = async (status: 'queued' | 'processing' | 'cancelled', limit = 10) => {
      const { jobs, nextPage } = await engine.list({ ...query, statuses: [status], limit })
      const rest =
        nextPage === null
          ? []
          : (await engine.list({ ...query, statuses: [status], limit, page: nextPage })).jobs
      return [...jobs, ...rest].map(({ jobId }) => jobId)
    }
    expect(await listed('queued')).toEqual([sixth, fifth, fourth, third, second, first])
    expect(await listed('queued', 3)).toEqual([sixth, fifth, fourth, third, second, first])
    expect((await claim(engine, 4)).map(({ jobId }) => jobId)).toEqual([fourth, second, fifth, first])
    expect(await listed('queued')).toEqual([sixth, third])
    expect(await listed('processing', 3)).toEqual([fifth, fourth, second, first])
    expect((await claim(engine, 4)).map(({ jobId }) => jobId)).toEqual([sixth, third])
    expect(await listed('queued')).toEqual([])
    expect(await listed('processing')).toEqual([sixth, fifth, fourth, third, second, first])
    const all = await engine.list({ ...query, statuses: [], limit: 10 })
    expect(all.jobs.map(({ jobId, status }) => [jobId, status])).toEqual(
      [...ids].reverse().map((jobId) => [jobId, 'processing']),
    )
    expect(await listed('cancelled')).toEqual([])
  })

  test('end a page of large jobs early, and go on from there', async () => {
    const engine = await open(await newFolder())
    const payload = 'p'.repeat(6 * 1024 * 1024)
    for (let n = 0; n < 5; n++) await submit(engine, { payload })
    const query = { types: [], statuses: [], tags: [], limit: 50 }
    const first = await engine.list({ ...query, page: null })
    expect(first.jobs).toHaveLength(3)
    const second = await engine.list({ ...query, page: first.nextPage })
    expect(second).toMatchObject({ nextPage: null, jobs: { length: 2 } })
  })
})

test('no statement reads a whole table or sorts', async () => {
  const folder = await newFolder()
  const { prototype } = Store
  const spies = [vi.spyOn(prototype, 'run'), vi.spyOn(prototype, 'get'), vi.spyOn(prototype, 'all')]
  onTestFinished(() => {
    vi.restoreAllMocks()
  })
  const engine = await open(folder)
  await everyVerb(engine)
  await engine.stop()
  const statements = new Set(spies.flatMap((spy) => spy.mock.calls.map(([sql]) => sql)))

  const store = new Store({ folder })
  onTestFinished(() => store.close())
  const plans = [...statements]
    .filter((sql) => /SELECT|UPDATE|DELETE/.test(sql))
    .map((sql) => {
      const parameters = Array<number>(sql.split('?').length - 1).fill(1)
      const steps = store.all(`EXPLAIN QUERY PLAN ${sql}`, parameters).map((row) => String(row[3]))
      return { sql, steps }
    })
  expect(plans.length).toBeGreaterThan(20)
  // Walking an index in its order from one end is what a limit asks for, and so is what it found; walking a table is not.
  const bad = /TEMP B-TREE|SCAN (?!\S+ USING (COVERING )?INDEX|\(subquery)/
  expect(plans.filter(({ steps }) => steps.some((step) => bad.test(step)))).toEqual([])
})

test('an address opens the engine that it names, not started', async () => {
  const folder = join(await newFolder(), 'new')
  const engine = await openEngine({ kind: 'sqlite', folder })
  expect(engine.kind).toBe('sqlite')
  await expect(engine.check()).rejects.toBeInstanceOf(Unavailable)
  await expect(readFile(join(folder, 'jobcast.db'))).rejects.toThrow('ENOENT')
  await engine.stop()
})

/** Uses all that the engine can do, so that every statement is run. */
async function everyVerb(engine: Engine): Promise<void> {
  const jobs = [job({ tags: ['t'] }), job(), job(), job({ when: { delayMs: 1 } })]
  await engine.submit({ jobs, idempotency: { scope: '', key: 'k', bodyHash: 'h' } })
  const runs = await claim(engine, 3)
  const leases = runs.map(({ jobId, lease }) => ({ jobId, lease }))
  const lines = Array.from({ length: 1001 }, () => ({ kind: 'chunk', data: 1 }) as const)
  await engine.report(leases.map((lease) => ({ ...lease, events: lines })))
  await engine.extend({ leases, leaseMs: 1 })
  const [first, second, third] = leases
  if (first === undefined || second === undefined || third === undefined) throw new Error('no runs')
  const completed = { kind: 'completed', result: 1 } as const
  await engine.settle({ settlements: [{ ...first, outcome: completed, events: [] }] })
  await until(async () => (await engine.rescue({ limit: 10 })).rescued > 0, { what: 'a rescue' })
  await until(async () => (await engine.promote({ limit: 10 })).promoted > 0, { what: 'a promotion' })
  await engine.cancel(second.jobId)
  await engine.retry(second.jobId)
  await engine.cancel(second.jobId)
  await engine.prune({ limit: 10 })
  await engine.remove(first.jobId)
  await engine.registerTypes([{ type: 'work', policy: DEFAULT_OPTIONS, payloadSchema: null }])
  await engine.secret('s', 's')
  await engine.check()
  await engine.get(second.jobId)
  await engine.feed.read([{ jobId: third.jobId, after: null, history: true, withJob: true }])
  await engine.feed.positions([second.jobId])
  const query = { types: [], statuses: [], tags: [], limit: 1, page: null }
  await engine.list(query)
  await engine.list({ ...query, types: ['work'] })
  await engine.list({ ...query, tags: ['t'] })
}

function integrity(folder: string): unknown {
  const database = openDatabase(join(folder, 'jobcast.db'))
  try {
    return database.prepare('PRAGMA integrity_check').get([])?.[0]
  } finally {
    database.close()
  }
}

/** Runs a script with the built engine on the folder as a process of its own; `say` prints a line. */
async function otherProcess(folder: string, script: string) {
  const source = `
    import { createSqliteEngine } from ${JSON.stringify(BUILT_ENGINE)}
    const engine = createSqliteEngine({ folder: ${JSON.stringify(folder)} })
    const say = (line) => process.stdout.write(line + '\\n')
    const alive = setInterval(() => {}, 1000)
    ${script}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  let errors = ''
  createInterface(child.stdout).on('line', (line) => lines.push(line))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const gone = once(child, 'close')
  const kill = async () => {
    child.kill('SIGKILL')
    await gone
  }
  onTestFinished(kill)
  return {
    lines,
    kill,
    said: (start: string) =>
      until(
        () => {
          if (errors !== '') throw new Error(errors)
          return lines.find((line) => line.startsWith(start))
        },
        { what: `the other process to say ${start}` },
      ),
  }
}
