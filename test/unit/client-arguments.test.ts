import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ClientOptions, createClient, type JobcastClient } from '../../client/index.ts'
import { JobcastProvider, useJob } from '../../client/react/index.ts'
import { aJob, scriptedFetch, scriptedSockets } from '../helpers/scripted-network.ts'

let client: JobcastClient
let sockets: ReturnType<typeof scriptedSockets>['sockets']
beforeEach(() => {
  vi.useFakeTimers()
  const network = scriptedSockets()
  sockets = network.sockets
  client = createClient({
    baseUrl: 'http://server',
    WebSocket: network.WebSocket,
    fetch: scriptedFetch().fetch,
  })
})
afterEach(async () => {
  client.close()
  await vi.advanceTimersByTimeAsync(0)
  vi.useRealTimers()
})

/** What a caller without types may write. */
function untyped<Call>(call: Call): (...given: unknown[]) => unknown {
  return (...given) => Reflect.apply(call as (...given: unknown[]) => unknown, client, given)
}

describe('a client is not made', () => {
  it.each<[options: unknown, says: RegExp]>([
    [null, /^createClient takes an object of options; it was given null$/],
    ['http://server', /it was given "http:\/\/server"$/],
    [{ baseURL: 'http://server' }, /no option baseURL; is baseUrl meant\?$/],
    [{ url: 'http://server' }, /no option url; there are baseUrl, credential, transports, /],
    [
      { baseUrl: 'localhost:3000' },
      /baseUrl must be the address of a server, such as .*; it is "localhost:3000"$/,
    ],
    [{ baseUrl: 'jobs' }, /baseUrl must be/],
    [{ baseUrl: 'ftp://server' }, /baseUrl must be/],
    [{ baseUrl: 'http://server?key=1' }, /baseUrl must be/],
    [{ baseUrl: new URL('http://server') }, /it is an object$/],
    [{ transports: ['ws'] }, /each "websocket" or "sse" or .*; it is \["ws"\]$/],
    [{ transports: 'sse' }, /transports must be a list of 1 to 4/],
    [{ transports: [] }, /it is \[\]$/],
    [{ credential: 'secret of\n two lines' }, /credential must be .*; it is a string$/],
    [{ credential: null }, /it is null$/],
    [{ fetch: {} }, /fetch must be a function; it is an object$/],
    [{ WebSocket: 'ws' }, /WebSocket must be a function/],
    [{ renewToken: 'token' }, /renewToken must be a function/],
    [{ share: 'no' }, /share must be true or false; it is "no"$/],
  ])('of %o', (options, says) => {
    const make = () => createClient(options as ClientOptions)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(says)
  })

  it('but of what may be missing', () => {
    const options = { baseUrl: '', credential: undefined, transports: undefined } as unknown as ClientOptions
    expect(() => createClient(options).close()).not.toThrow()
  })
})

describe('nothing is watched', () => {
  it.each<[given: unknown[], says: RegExp]>([
    [[], /^watch: the id of the job must be a string of 1–1,000 characters; it is undefined$/],
    [[null], /it is null$/],
    [[''], /it is ""$/],
    [[5], /it is 5$/],
    [[{ jobId: 'j1' }], /it is an object, whose jobId may be meant$/],
    [[Promise.resolve('j1')], /it is a promise, to be awaited first$/],
    [['j'.repeat(20_000)], /it is "j+…"$/],
    [['j1', { History: true }], /no option History; is history meant\?$/],
    [['j1', { history: 1 }], /history must be true or false; it is 1$/],
    [['j1', { after: 7 }], /after must be a string/],
    [['j1', { token: 'x'.repeat(5000) }], /token must be .*; it is a string$/],
    [['j1', { onEvent: 'log' }], /onEvent must be a function/],
    [['j1', null], /watch takes an object of options; it was given null$/],
  ])('of %o', (given, says) => {
    const watch = () => untyped(client.watch)(...given)
    expect(watch).toThrow(TypeError)
    expect(watch).toThrow(says)
  })

  it.each<[query: unknown, says: RegExp]>([
    [null, /^watchList takes an object of options; it was given null$/],
    [['j1'], /it was given \["j1"\]$/],
    [{ ids: ['j1'] }, /no option ids; there are type, tag, limit, jobIds$/],
    [{ jobIds: 'j1' }, /jobIds must be a list of 0 to 200/],
    [{ jobIds: [undefined] }, /it is \[undefined\]$/],
    [{ jobIds: Array.from({ length: 201 }, (_, n) => `j${n}`) }, /it is a list$/],
    [{ jobIds: ['j1'], limit: 1 }, /jobIds cannot be combined with type, tag or limit$/],
    [{ limit: 0 }, /limit must be a whole number from 1 to 200; it is 0$/],
    [{ limit: '5' }, /it is "5"$/],
    [{ type: '' }, /type must be a string of 1–64 characters, or a list of 0 to 50/],
    [{ tag: Array.from({ length: 11 }, String) }, /tag must be/],
  ])('of a list of %o', (query, says) => {
    const watch = () => untyped(client.watchList)(query)
    expect(watch).toThrow(TypeError)
    expect(watch).toThrow(says)
  })

  it('and nothing beside it is harmed', async () => {
    const list = client.watchList({ type: 'countdown' })
    await vi.dynamicImportSettled()
    const watch = client.watch('j1')
    const [socket] = sockets
    for (const mistake of [null, 5, 'x'.repeat(20_000)]) {
      expect(() => untyped(client.watch)(mistake)).toThrow(TypeError)
      expect(() => untyped(client.watchList)(mistake)).toThrow(TypeError)
    }
    socket?.hello()
    expect(socket?.sent.map(({ op }) => op).sort()).toEqual(['subscribe', 'watch'])
    socket?.says({ op: 'list', list: 'list-1', reason: 'new', jobs: [] })
    socket?.says({
      op: 'subscribed',
      jobId: 'j1',
      mode: 'snapshot',
      reason: 'new',
      cursor: 'e1.2',
      job: aJob(),
    })
    expect(list.getSnapshot().phase).toBe('live')
    expect(watch.getSnapshot().phase).toBe('live')
  })

  it('where nobody said which server, however often that is tried', () => {
    const nowhere = createClient()
    for (let n = 0; n < 2; n++) {
      expect(() => nowhere.watch('j1')).toThrow(
        'outside of a page, baseUrl must be the whole address of a server',
      )
      expect(() => nowhere.watchList()).toThrow(
        'outside of a page, baseUrl must be the whole address of a server',
      )
    }
  })

  it('of no jobs, which is an empty list', () => {
    const list = client.watchList({ jobIds: [] })
    expect(list.getSnapshot()).toMatchObject({ phase: 'live', jobs: [], missing: [] })
    expect(sockets).toHaveLength(0)
    list.close()
  })
})

it('calls reject where they are mistakes, and send nothing', async () => {
  const { requests, fetch } = scriptedFetch()
  client = createClient({ baseUrl: 'http://server', fetch })
  for (const call of [client.get, client.cancel, client.retry, client.remove, client.pause, client.resume]) {
    await expect(untyped(call)(undefined)).rejects.toThrow(TypeError)
  }
  await expect(untyped(client.submit)()).rejects.toThrow('submit: the job must be an object such as {')
  await expect(untyped(client.submitBatch)({ jobs: [] })).rejects.toThrow(
    'submitBatch: the jobs must be a list',
  )
  await expect(untyped(client.submitBatch)([{}], { key: 'k' })).rejects.toThrow('there is no option key')
  expect(requests).toHaveLength(0)
})

it('hooks say at their call what is wrong', () => {
  const render = (options: unknown) => () => {
    const Page = () => createElement('p', {}, Reflect.apply(useJob, null, [options]).status)
    return renderToString(createElement(JobcastProvider, { client }, createElement(Page)))
  }
  expect(render({ jobId: null })()).toBe('<p>idle</p>')
  expect(render({ jobId: 5 })).toThrow(
    'useJob: jobId must be the id of a job, or null while there is none; it is 5',
  )
  expect(render({ jobID: 'j1' })).toThrow('useJob: there is no option jobID; is jobId meant?')
  expect(render(null)).toThrow('useJob takes an object of options; it was given null')
})
