import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SubmitAnswer, TypesAnswer } from '../../shared/api.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { untilTerminal } from '../helpers/api.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'

/** A process that serves types of which it has no more than what their worker has told the store. */

let redis: RedisServer
let client: Redis
let api: ServerProcess
let worker: ServerProcess
beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
  const shared = { REDIS_URL: redis.url, JOBCAST_PREFIX: 'schemas' }
  const jobs = new URL('../helpers/schema-jobs.mjs', import.meta.url).pathname
  worker = await startServer({ ...shared, JOBCAST_ROLE: 'worker', JOBCAST_JOBS: jobs })
  api = await startServer({ ...shared, JOBCAST_ROLE: 'api' })
})
afterAll(async () => {
  await Promise.all([api.kill(), worker.kill()])
  client.disconnect()
  await redis.stop()
})

const PATIENCE = { timeout: 60_000 }

async function submit(type: string, payload: unknown, path = '/api/jobs', body: unknown = { type, payload }) {
  const response = await fetch(api.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, answer: await response.json() }
}

async function ended(submitted: { answer: SubmitAnswer }) {
  return untilTerminal(api.url, submitted.answer.jobId)
}

describe('a payload of a type that only a worker defines', () => {
  test.each(['by-zod', 'by-arktype', 'by-valibot'])('is refused with its path: %s', async (type) => {
    const { status, answer } = await submit(type, { width: 5 })
    expect(status).toBe(400)
    expect(answer).toMatchObject({
      code: 'invalid_payload',
      detail: 'the payload is not valid: payload.width must be at least 16',
      errors: [{ path: 'payload.width', message: 'must be at least 16' }],
    })
    expect((await submit(type, {})).answer.errors).toEqual([{ path: 'payload.width', message: 'is missing' }])
  })

  test('is refused with its path in a batch, too', async () => {
    const jobs = [
      { type: 'by-zod', payload: { width: 16 } },
      { type: 'by-zod', payload: { width: 'wide', more: 1 } },
      { type: 'by-arktype', payload: { width: null } },
    ]
    const { status, answer } = await submit('', null, '/api/jobs/batch', { jobs })
    expect(status).toBe(400)
    expect(answer.errors).toEqual([
      { path: 'jobs.1.payload.more', message: 'unknown field' },
      { path: 'jobs.1.payload.width', message: 'must be a whole number' },
      { path: 'jobs.2.payload.width', message: 'must be a number' },
    ])
  })

  test('is taken where the schema makes of it what the handler needs', async () => {
    const submitted = await submit('by-zod', { width: 16, scale: '3' })
    expect(submitted.status).toBe(202)
    expect(await ended(submitted)).toMatchObject({ status: 'completed', result: { area: 48 } })
    expect(await ended(await submit('by-zod', { width: 16 }))).toMatchObject({ result: { area: 32 } })
  })

  test('is left to the worker where the schema does not tell', async () => {
    const submitted = await submit('untold', { width: 5 })
    expect(submitted.status).toBe(202)
    expect(await ended(submitted)).toMatchObject({ status: 'failed', errorCode: 'invalid_payload' })
  })

  test('is described for whoever asks', async () => {
    const { types } = TypesAnswer.parse(await (await fetch(`${api.url}/api/types`)).json())
    expect(types.find(({ type }) => type === 'by-zod')).toMatchObject({
      payloadSchema: { properties: { width: { type: 'integer' } }, required: ['width'] },
      resultSchema: { properties: { area: { type: 'number' } } },
    })
    expect(types.find(({ type }) => type === 'untold')).toMatchObject({
      payloadSchema: null,
      resultSchema: null,
    })
    const { components } = await (await fetch(`${api.url}/openapi.json`)).json()
    expect(components.schemas.ByArktypePayload).toMatchObject({ properties: { width: { type: 'number' } } })
  })

  test('is not held to what an older version told, nor is one of a newer version refused for what it tells more', async () => {
    const payloadSchema = { type: 'object', properties: { width: { type: 'number' } } }
    const registration = { policy: DEFAULT_OPTIONS, payloadSchema }
    const register = (type: string, more: object) =>
      client.hset('{schemas:0}:types', type, JSON.stringify({ type, ...registration, ...more }))
    await register('older', {})
    await register('newer', { resultSchema: null, chunkSchema: { type: 'string' } })
    // What the store knew two seconds ago is believed.
    await expect.poll(async () => (await submit('newer', { width: 5 })).status, PATIENCE).toBe(202)
    expect((await submit('newer', { width: '5' })).answer.code).toBe('invalid_payload')
    expect((await submit('older', { width: '5' })).status).toBe(202)
  })

  test('is held to what was told last', async () => {
    const told = (type: string) => ({
      type: 'again',
      policy: DEFAULT_OPTIONS,
      payloadSchema: { type },
      resultSchema: null,
    })
    await client.hset('{schemas:0}:types', 'again', JSON.stringify(told('string')))
    await expect.poll(async () => (await submit('again', 'text')).status, PATIENCE).toBe(202)
    expect((await submit('again', 5)).answer.code).toBe('invalid_payload')
    await client.hset('{schemas:0}:types', 'again', JSON.stringify(told('number')))
    await expect.poll(async () => (await submit('again', 5)).status, PATIENCE).toBe(202)
    expect((await submit('again', 'text')).answer.code).toBe('invalid_payload')
  })
})

test('the nearest known types are named, those of other processes as well', async () => {
  const { answer } = await submit('by-zot', {})
  expect(answer).toMatchObject({
    code: 'unknown_type',
    detail:
      'the submission is not valid: type names no job type that is known: "by-zot"; did you mean by-zod?',
  })
})
