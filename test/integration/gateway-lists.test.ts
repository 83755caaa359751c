import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MAX_LIST, MAX_LISTED, MAX_SUBSCRIPTIONS } from '../../shared/limits.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { type Gateway, type GatewayOptions, openGateway, type TestSocket } from '../helpers/gateway.ts'
import { until } from '../helpers/until.ts'

const PACE_MS = 50
const UNKNOWN = '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11'

let gateway: Gateway
const open = async (options: GatewayOptions = {}) => {
  gateway = await openGateway({
    ...options,
    sockets: { listTimes: { everyMs: PACE_MS, healMs: 60_000 }, ...options.sockets },
  })
}
beforeEach(() => open())
afterEach(async () => {
  await gateway.close()
  expect(gateway.feed.resetListeners).toBe(0)
  expect(gateway.seen('failure')).toEqual([])
})

const ids = (jobs: readonly { jobId: string }[]) => jobs.map(({ jobId }) => jobId)
const statuses = (client: TestSocket, name?: string) => client.listed(name).map(({ status }) => status)

/** Waits until the client's list has these jobs, newest first. */
async function lists(client: TestSocket, jobIds: readonly string[], name?: string): Promise<void> {
  const wanted = [...jobIds].sort().reverse()
  await until(() => JSON.stringify(ids(client.listed(name))) === JSON.stringify(wanted), {
    what: 'the list to have these jobs',
  })
}

describe('a list', () => {
  test('begins with the newest jobs as GET /api/jobs shows them', async () => {
    const jobIds = [await gateway.submit({ payload: 'secret' }), await gateway.submit({ tags: ['a'] })]
    const client = await gateway.connect().opened()
    const frame = await client.watch()
    expect(frame).toMatchObject({ list: 'all', reason: 'new' })
    expect(frame.missing).toBeUndefined()
    const { jobs } = await gateway.engine.list({ types: [], statuses: [], tags: [], limit: 9, page: null })
    const summaries = jobs.map(({ payload: _payload, result: _result, ...rest }) => rest)
    expect(frame.jobs).toEqual(summaries)
    expect(ids(frame.jobs).sort()).toEqual(jobIds.sort())
  })

  test('tells of status changes, with progress riding along, and of no progress alone', async () => {
    const run = await gateway.run({ large: 'payload' })
    const client = await gateway.connect().opened()
    await client.watch()
    await run.report({ kind: 'progress', data: { percent: 50, note: 'half' } })
    await run.report({ kind: 'log', data: { level: 'info', line: 'unheard' } })
    const marker = await gateway.submit()
    await lists(client, [run.jobId, marker])
    expect(client.all('changes').flatMap(({ jobs }) => ids(jobs))).toEqual([marker])
    await run.settle({ kind: 'failed', error: 'no', errorCode: 'handler_error' })
    await until(() => client.listed().find(({ status }) => status === 'failed'))
    const job = await gateway.engine.get(run.jobId)
    const told = client.listed().find(({ jobId }) => jobId === run.jobId)
    expect(told).toMatchObject({ error: 'no', progress: { percent: 50 }, cursor: job?.cursor })
    expect(told).not.toHaveProperty('payload')
    expect(told).not.toHaveProperty('result')
    await gateway.engine.retry(run.jobId)
    await until(() => client.listed().find(({ jobId }) => jobId === run.jobId)?.status === 'queued')
  })

  test('has new jobs of its types and tags, and no others', async () => {
    const client = await gateway.connect().opened()
    await client.watch({ list: 'types', type: ['alpha', 'beta'] })
    await client.watch({ list: 'tags', tag: ['red', 'large'] })
    await client.watch({ list: 'both', type: 'alpha', tag: 'red' })
    const alpha = await gateway.submit({ type: 'alpha' })
    const beta = await gateway.submit({ type: 'beta', tags: ['red', 'large', 'more'] })
    const both = await gateway.submit({ type: 'alpha', tags: ['red'] })
    await gateway.submit({ type: 'gamma', tags: ['large'] })
    await lists(client, [alpha, beta, both], 'types')
    await lists(client, [beta], 'tags')
    await lists(client, [both], 'both')
    await gateway.engine.cancel(beta)
    await until(() => statuses(client, 'tags')[0] === 'cancelled')
    await until(() => statuses(client, 'types').includes('cancelled'))
    expect(statuses(client, 'both')).toEqual(['queued'])
  })

  test('is a window: what newer jobs push out leaves, and an older one takes the place of a removed one', async () => {
    const old = [await gateway.submit(), await gateway.submit()]
    const client = await gateway.connect().opened()
    await client.watch({ limit: 2 })
    const newer = await gateway.submit()
    await lists(client, [old[1] ?? '', newer])
    expect(client.all('changes').flatMap(({ gone }) => gone)).toEqual([old[0]])
    await gateway.engine.cancel(newer)
    await gateway.engine.remove(newer)
    await lists(client, old)
  })

  test('has each job once, also where a look brings what it has already', async () => {
    const old = [await gateway.submit(), await gateway.submit()]
    const client = await gateway.connect().opened()
    await client.watch({ limit: 3 })
    const list = gateway.feed.list.bind(gateway.feed)
    gateway.feed.list = (query) => list({ ...query, since: null })
    const newer = [await gateway.submit()]
    await lists(client, [...old, ...newer])
    newer.push(await gateway.submit())
    await lists(client, [...old.slice(1), ...newer])
    expect(client.all('changes').flatMap(({ gone }) => gone)).toEqual([old[0]])
    // And each is followed once.
    await gateway.engine.cancel(old[1] ?? '')
    await until(() => statuses(client).includes('cancelled'))
    client.send({ op: 'unwatch', list: 'all' })
    await until(() => gateway.feed.watching === 0, { what: 'every job to be left' })
  })

  test('loses what has expired', async () => {
    await gateway.engine.submit({
      jobs: [
        {
          type: 'brief',
          payload: null,
          policy: { ...DEFAULT_OPTIONS, retainMs: 100 },
          when: { delayMs: 0 },
        },
      ],
    })
    const run = await gateway.claim('brief')
    const client = await gateway.connect().opened()
    await client.watch()
    await run.settle({ kind: 'completed', result: 'x'.repeat(1000) })
    await until(() => statuses(client)[0] === 'completed')
    await until(async () => (await gateway.engine.prune({ limit: 10 })).pruned === 1)
    await lists(client, [])
  })

  test('of given jobs has them in order, says which there are not, and takes no new ones', async () => {
    const jobIds = [await gateway.submit(), await gateway.submit(), await gateway.submit()]
    const [first = '', second = '', third = ''] = jobIds
    const client = await gateway.connect().opened()
    const frame = await client.watch({ jobIds: [second, UNKNOWN, first, second, 'nonsense'] })
    expect(ids(frame.jobs)).toEqual([second, first])
    expect(frame.missing).toEqual([UNKNOWN, 'nonsense'])
    await gateway.engine.cancel(third)
    await gateway.engine.cancel(second)
    await gateway.engine.remove(second)
    await lists(client, [first])
    // Whoever comes later and asks for the same is told of it as well.
    const later = await gateway.connect().opened()
    expect(await later.watch({ jobIds: [second, UNKNOWN, first, 'nonsense'] })).toMatchObject({
      jobs: [{ jobId: first }],
      missing: [second, UNKNOWN, 'nonsense'],
    })
    expect(new Set(client.all('changes').flatMap(({ jobs }) => ids(jobs)))).not.toContain(third)
  })

  test(`may have ${MAX_LIST} jobs`, async () => {
    const jobIds: string[] = []
    for (let n = 0; n <= MAX_LIST; n++) jobIds.push(await gateway.submit())
    const client = await gateway.connect().opened()
    const newest = jobIds.slice(-MAX_LIST).sort().reverse()
    expect(ids((await client.watch({ limit: MAX_LIST })).jobs)).toEqual(newest)
    const frame = await client.watch({ list: 'given', jobIds: jobIds.slice(1) })
    expect(ids(frame.jobs)).toEqual(jobIds.slice(1))
    client.send({ op: 'watch', list: 'given', jobIds })
    expect(await client.next('error')).toMatchObject({ code: 'bad_frame' })
  })
})

describe('the pace', () => {
  test('merges a storm of changes to the latest of each job', async () => {
    const client = await gateway.connect().opened()
    await client.watch()
    const beganAt = performance.now()
    const jobIds: string[] = []
    for (let n = 0; n < 100; n++) {
      const run = await gateway.run()
      jobIds.unshift(run.jobId)
      await run.settle({ kind: 'completed', result: n })
    }
    await until(() => statuses(client).filter((status) => status === 'completed').length === 50)
    await lists(client, jobIds.slice(0, 50))
    const elapsedMs = performance.now() - beganAt
    expect(client.all('changes').length).toBeLessThanOrEqual(elapsedMs / PACE_MS + 1)
  })

  test('is that of each list, shared by all who watch it', async () => {
    const clients = await Promise.all(Array.from({ length: 5 }, () => gateway.connect().opened()))
    await Promise.all(clients.map((client) => client.watch({ type: 'work' })))
    const { lists: before } = gateway.feed
    const jobId = await gateway.submit()
    await Promise.all(clients.map((client) => lists(client, [jobId])))
    expect(gateway.feed.lists).toBe(before + 1)
    expect(gateway.feed.watching).toBe(1)
  })
})

describe('the end', () => {
  test('unwatch is answered, and nothing follows it', async () => {
    const jobId = await gateway.submit()
    const client = await gateway.connect().opened()
    await client.watch()
    expect(gateway.hub.info().subscriptions).toBe(1)
    client.send({ op: 'unwatch', list: 'all' })
    const over = { op: 'unwatched', list: 'all', code: 'requested', retry: false }
    expect(await client.next('unwatched')).toEqual(over)
    await gateway.engine.cancel(jobId)
    const again = await client.watch({ list: 'again' })
    expect(again.jobs[0]?.status).toBe('cancelled')
    expect(client.all('changes')).toEqual([])
    expect(gateway.hub.info().subscriptions).toBe(1)
    client.send({ op: 'unwatch', list: 'never there' })
    expect(await client.next('unwatched', 2)).toEqual({ ...over, list: 'never there' })
  })

  test('a second watch of the same name starts it afresh', async () => {
    await gateway.submit({ type: 'alpha' })
    const beta = await gateway.submit({ type: 'beta' })
    const client = await gateway.connect().opened()
    await client.watch({ type: 'alpha' })
    expect(ids((await client.watch({ type: 'beta' })).jobs)).toEqual([beta])
    await gateway.submit({ type: 'alpha' })
    const newer = await gateway.submit({ type: 'beta' })
    await lists(client, [beta, newer])
    expect(gateway.hub.info().subscriptions).toBe(1)
  })

  test('a closed connection leaves nothing behind', async () => {
    await gateway.submit()
    const client = await gateway.connect().opened()
    await client.watch()
    await client.watch({ list: 'given', jobIds: [UNKNOWN] })
    const { resetListeners } = gateway.feed
    client.ws.close()
    await until(() => gateway.hub.info().subscriptions === 0)
    expect(gateway.feed.resetListeners).toBe(resetListeners - 2)
  })
})

describe('what may go wrong', () => {
  test('a lost announcement is made up for', async () => {
    await gateway.close()
    await open({ sockets: { listTimes: { everyMs: PACE_MS, healMs: 200 } } })
    const client = await gateway.connect().opened()
    await client.watch()
    gateway.feed.deaf = true
    const jobId = await gateway.submit()
    await lists(client, [jobId])
  })

  test('a lost message of a job is made up for', async () => {
    await gateway.close()
    await open({ hub: { check: { checkMs: 100, graceMs: 20 } } })
    const jobId = await gateway.submit()
    const client = await gateway.connect().opened()
    await client.watch()
    gateway.feed.disturb = () => {}
    await gateway.engine.cancel(jobId)
    await until(() => statuses(client)[0] === 'cancelled')
  })

  test('another history is another list, with the reason', async () => {
    const jobId = await gateway.submit()
    const client = await gateway.connect().opened()
    const frames = [await client.watch(), await client.watch({ list: 'given', jobIds: [jobId] })]
    gateway.feed.changeHistory()
    await client.next('list', 4)
    const [first, second] = client.all('list').slice(2)
    for (const frame of [first, second]) {
      expect(frame).toMatchObject({ reason: 'epoch' })
      expect(ids(frame?.jobs ?? [])).toEqual([jobId])
      expect(frame?.jobs[0]?.cursor).not.toBe(frames[0]?.jobs[0]?.cursor)
    }
    await gateway.engine.cancel(jobId)
    await until(() => statuses(client)[0] === 'cancelled')
    await until(() => statuses(client, 'given')[0] === 'cancelled')
  })

  test('a store that is away is an error at first, and waited for later', async () => {
    const jobId = await gateway.submit()
    const client = await gateway.connect().opened()
    await client.watch()
    gateway.feed.down = true
    client.send({ op: 'watch', list: 'late', type: 'other' })
    const error = await client.next('error')
    expect(error).toMatchObject({ list: 'late', code: 'unavailable', retry: true })
    gateway.feed.changeHistory()
    const newer = await gateway.submit()
    gateway.feed.down = false
    await lists(client, [jobId, newer])
    expect(client.all('list').at(-1)?.reason).toBe('epoch')
    await client.watch({ list: 'late', type: 'other' })
  })

  test('frames of the wrong shape are bad frames', async () => {
    const client = await gateway.connect().opened()
    const bad = [
      {},
      { list: '' },
      { list: 'x'.repeat(65) },
      { list: 'a', limit: 0 },
      { list: 'a', limit: MAX_LIST + 1 },
      { list: 'a', type: 7 },
      { list: 'a', jobIds: [] },
      { list: 'a', jobIds: [UNKNOWN], type: 'work' },
      { list: 'a', status: 'queued' },
    ]
    for (const [index, rest] of bad.entries()) {
      client.send({ op: 'watch', ...rest })
      expect(await client.next('error', index + 1)).toMatchObject({ code: 'bad_frame' })
    }
  })

  test('lists count among the subscriptions, and keep a connection from being idle', async () => {
    await gateway.close()
    await open({ sockets: { times: { idleMs: 500 } } })
    const client = await gateway.connect().opened()
    const openedAt = performance.now()
    for (let n = 0; n < MAX_SUBSCRIPTIONS; n++) {
      client.send({ op: 'watch', list: `${n}`, type: `t${n}`, limit: 5 })
      // Within the frames that a connection may send.
      if (n % 100 === 99) await client.next('list', n)
    }
    await client.next('list', MAX_SUBSCRIPTIONS)
    client.send({ op: 'watch', list: 'one more' })
    expect(await client.next('error')).toMatchObject({ code: 'too_many_subscriptions', list: 'one more' })
    client.send({ op: 'subscribe', jobId: UNKNOWN })
    expect(await client.next('error', 2)).toMatchObject({ code: 'too_many_subscriptions', jobId: UNKNOWN })
    await until(() => performance.now() - openedAt > 1000)
    client.send({ op: 'ping' })
    await client.next('pong')
    for (let n = 0; n < MAX_SUBSCRIPTIONS; n++) client.send({ op: 'unwatch', list: `${n}` })
    expect(await client.closed).toMatchObject({ code: 4501 })
  })

  test('the lists of a connection have a number of jobs together that bounds them', async () => {
    const jobId = await gateway.submit()
    const client = await gateway.connect().opened()
    const watch = (list: string, limit: number) => client.send({ op: 'watch', list, type: list, limit })
    const lists = MAX_LISTED / MAX_LIST
    for (let n = 0; n < lists; n++) watch(`${n}`, MAX_LIST)
    await client.next('list', lists)
    watch('more', 1)
    expect(await client.next('error')).toMatchObject({ code: 'too_many_subscriptions', list: 'more' })
    client.send({ op: 'watch', list: 'jobs', jobIds: [jobId] })
    expect(await client.next('error', 2)).toMatchObject({ code: 'too_many_subscriptions', list: 'jobs' })
    // In place of what it was, a list has what that leaves.
    watch('0', MAX_LIST)
    await client.next('list', lists + 1)
    watch('0', MAX_LIST - 1)
    watch('more', 1)
    await client.next('list', lists + 3)
    watch('1', MAX_LIST)
    watch('more', 2)
    expect(await client.next('error', 3)).toMatchObject({ list: 'more' })
    client.send({ op: 'unwatch', list: '1' })
    client.send({ op: 'watch', list: 'jobs', jobIds: [jobId, jobId] })
    expect((await client.next('list', lists + 5)).jobs).toMatchObject([{ jobId }])
    expect(client.all('error')).toHaveLength(3)
  })

  test('a reader that does not read gets less, and is not closed for it', { timeout: 90_000 }, async () => {
    await gateway.close()
    // It stands still for as long as the rounds take, however busy the machine is.
    await open({ sockets: { times: { stallMs: 60_000 } } })
    const types = Array.from({ length: 50 }, (_, n) => `t${n}`)
    for (const type of types) await gateway.submit({ type })
    const slow = await gateway.connect().opened()
    const fast = await gateway.connect().opened()
    await slow.watch()
    await fast.watch()
    slow.socket.pause()
    const error = 'x'.repeat(50_000)
    for (let round = 0; round < 6; round++) {
      for (const type of types) {
        const run = await gateway.claim(type)
        await run.settle({ kind: 'retry', error: `${round}${error}`, errorCode: 'handler_error', delayMs: 0 })
      }
      await gateway.engine.promote({ limit: 200 })
      await until(() => fast.listed().every((job) => job.error?.startsWith(`${round}`)), {
        timeoutMs: 30_000,
      })
    }
    slow.socket.resume()
    await until(() => slow.listed().every((job) => job.error?.startsWith('5')))
    expect(slow.all('changes').length).toBeLessThan(fast.all('changes').length)
  })
})

describe('who may watch', () => {
  beforeEach(async () => {
    await gateway.close()
    await open({ keys: [{ name: 'reader', role: 'read', key: 'read-key' }] })
  })

  test('takes an API key, from the frame or the upgrade', async () => {
    const jobId = await gateway.submit()
    const client = await gateway.connect().opened()
    client.send({ op: 'watch', list: 'a' })
    expect(await client.next('error')).toMatchObject({ code: 'unauthorized', list: 'a', retry: false })
    client.send({ op: 'watch', list: 'b', token: 'forged' })
    expect(await client.next('error', 2)).toMatchObject({ code: 'unauthorized', list: 'b' })
    expect(ids((await client.watch({ token: 'read-key' })).jobs)).toEqual([jobId])
    const opened = await gateway.connect('', { headers: { authorization: 'Bearer read-key' } }).opened()
    expect(ids((await opened.watch()).jobs)).toEqual([jobId])
  })

  test('a job token may not, not even its own job', async () => {
    const jobId = await gateway.submit()
    const token = await gateway.auth.issue({ kind: 'key', name: 'reader', role: 'read' }, jobId)
    const client = await gateway.connect().opened()
    client.send({ op: 'watch', list: 'a', jobIds: [jobId], token })
    expect(await client.next('error')).toMatchObject({ code: 'forbidden', list: 'a', retry: false })
  })
})
