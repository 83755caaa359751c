import { z } from 'zod'
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject } from 'zod-openapi'
import {
  BatchAnswer,
  BatchBody,
  ClassicSubmitBody,
  ListAnswer,
  OverviewAnswer,
  PollAnswer,
  SubmitAnswer,
  SubmitBody,
  TokenAnswer,
  TypeName,
  TypesAnswer,
} from '../../shared/api.ts'
import { Job } from '../../shared/job.ts'
import { ListQuery, PollQuery, SocketQuery, WatchQuery } from '../../shared/query.ts'
import {
  answer,
  BODY_PROBLEMS,
  header,
  problems,
  STORE_PROBLEMS,
  SUBMIT_PROBLEMS,
  WRITE_PROBLEMS,
} from './openapi-parts.ts'

const jobId = z.string().meta({ description: 'A job id, a UUIDv7', format: 'uuid' })
const onJob = { path: z.object({ id: jobId }) }
const onType = { path: z.object({ type: TypeName }) }

const idempotency = {
  'Idempotency-Key': z.string().min(1).max(255).optional().meta({
    description:
      'The same key with an equal body within 24 h answers with the first answer and stores nothing',
  }),
}
const prefer = {
  Prefer: z.string().optional().meta({
    description: 'wait=N (RFC 7240): hold up to N seconds, at most 25 of at most 60, for a terminal status',
    example: 'wait=10',
  }),
}

const replay = { 'Idempotency-Replayed': header.replayed }

function submitCall(summary: string, operationId: string, schema: z.ZodType): ZodOpenApiOperationObject {
  return {
    operationId,
    summary,
    tags: ['jobs'],
    requestParams: { header: z.object({ ...idempotency, ...prefer }) },
    requestBody: { required: true, content: { 'application/json': { schema } } },
    responses: {
      200: answer(
        'With `Prefer: wait`, the job, once it is terminal',
        Job,
        z.object({ Location: header.location, 'Preference-Applied': header.applied, ...replay }),
      ),
      202: answer('The job is stored', SubmitAnswer, z.object({ Location: header.location, ...replay })),
      ...problems(...SUBMIT_PROBLEMS),
    },
  }
}

function changeCall(
  summary: string,
  operationId: string,
  refusal: 'already_finished' | 'not_retryable',
): ZodOpenApiOperationObject {
  return {
    operationId,
    summary,
    tags: ['jobs'],
    requestParams: onJob,
    responses: {
      202: answer('The job as it is now', Job),
      ...problems(...WRITE_PROBLEMS, ...BODY_PROBLEMS, 'not_found', refusal),
    },
  }
}

function switchCall(summary: string, operationId: string): ZodOpenApiOperationObject {
  return {
    operationId,
    summary,
    tags: ['types'],
    requestParams: onType,
    responses: {
      200: answer('How it is now', z.object({ type: z.string(), paused: z.boolean() })),
      ...problems(...WRITE_PROBLEMS, ...BODY_PROBLEMS, 'not_found'),
    },
  }
}

const PAUSED = 'A paused type takes submissions and runs none; a type that is not known yet may be paused.'

export const paths: ZodOpenApiPathsObject = {
  '/api/jobs': {
    post: submitCall('Submit a job', 'submitJob', SubmitBody),
    get: {
      operationId: 'listJobs',
      summary: 'Jobs, newest first, without payload and result unless `full=1`',
      description: 'A page may hold fewer jobs than `limit` and still not be the last one.',
      tags: ['jobs'],
      requestParams: { query: ListQuery },
      responses: { 200: answer('One page', ListAnswer), ...problems(...STORE_PROBLEMS) },
    },
  },
  '/api/jobs/submit': {
    post: submitCall(
      'Submit a job as in the classic submit-and-poll pattern',
      'submitClassic',
      ClassicSubmitBody,
    ),
  },
  '/api/jobs/batch': {
    post: {
      operationId: 'submitBatch',
      summary: 'Submit up to 1,000 jobs, all or none',
      tags: ['jobs'],
      requestParams: { header: z.object(idempotency) },
      requestBody: { required: true, content: { 'application/json': { schema: BatchBody } } },
      responses: {
        202: answer('The jobs are stored; answers in order', BatchAnswer, z.object(replay)),
        ...problems(...SUBMIT_PROBLEMS),
      },
    },
  },
  '/api/jobs/{id}': {
    get: {
      operationId: 'getJob',
      summary: 'A job as it is now, or, with any parameter, a long-poll for what comes after a cursor',
      tags: ['jobs', 'watching'],
      requestParams: {
        ...onJob,
        query: PollQuery,
        header: z.object({
          'If-None-Match': z.string().optional().meta({ description: 'An ETag of an earlier answer' }),
        }),
      },
      responses: {
        200: answer(
          'The job; of a long-poll, the job with `mode` and `events`',
          z.union([Job, PollAnswer]),
          z.object({ ETag: header.etag.optional(), 'Cache-Control': header.cacheControl }),
        ),
        304: answer('The job has not changed', undefined, z.object({ ETag: header.etag })),
        ...problems(...STORE_PROBLEMS, 'not_found'),
      },
    },
    delete: {
      operationId: 'removeJob',
      summary: 'Forget a finished job',
      tags: ['jobs'],
      requestParams: onJob,
      responses: {
        204: answer('The job is forgotten'),
        ...problems(...WRITE_PROBLEMS, ...BODY_PROBLEMS, 'not_found', 'not_finished'),
      },
    },
  },
  '/api/jobs/{id}/events': {
    get: {
      operationId: 'streamJob',
      summary: 'Everything that happens to a job, as server-sent events',
      description:
        'Event names: status, progress, log, chunk, snapshot, end, and, without an id, place and ping; ids are cursors. With `Accept: application/json` the same address answers a long-poll.',
      tags: ['watching'],
      security: [{ bearer: [] }, { token: [] }],
      requestParams: {
        ...onJob,
        query: WatchQuery,
        header: z.object({
          'Last-Event-ID': z.string().optional().meta({ description: 'The cursor; counts before `after`' }),
        }),
      },
      responses: {
        200: {
          description: 'The stream',
          headers: z.object({ 'Cache-Control': header.cacheControl, 'X-Accel-Buffering': z.literal('no') }),
          content: {
            'text/event-stream': { schema: z.string() },
            'application/json': { schema: PollAnswer },
          },
        },
        204: answer('The job has finished and the cursor is its last'),
        ...problems(...STORE_PROBLEMS, 'not_found'),
      },
    },
  },
  '/api/jobs/{id}/cancel': {
    post: changeCall(
      'Cancel a job; of a running one the cancel is requested',
      'cancelJob',
      'already_finished',
    ),
  },
  '/api/jobs/{id}/retry': {
    post: changeCall('Queue a failed or cancelled job again', 'retryJob', 'not_retryable'),
  },
  '/api/jobs/{id}/token': {
    post: {
      operationId: 'issueToken',
      summary: 'A fresh job token with the rights of its issuer',
      tags: ['jobs'],
      requestParams: onJob,
      responses: {
        200: answer('The token; any text where no API keys are set', TokenAnswer),
        ...problems(...STORE_PROBLEMS, ...BODY_PROBLEMS, 'not_found'),
      },
    },
  },
  '/api/types': {
    get: {
      operationId: 'listTypes',
      summary: 'Job types, how many jobs they have and who runs them',
      tags: ['types'],
      responses: { 200: answer('The types', TypesAnswer), ...problems(...STORE_PROBLEMS) },
    },
  },
  '/api/types/{type}/pause': { post: { ...switchCall('Pause a type', 'pauseType'), description: PAUSED } },
  '/api/types/{type}/resume': { post: switchCall('Resume a type', 'resumeType') },
  '/api/overview': {
    get: {
      operationId: 'getOverview',
      summary: 'The engine, jobs by status, live workers and gateways',
      tags: ['operation'],
      responses: { 200: answer('The overview', OverviewAnswer), ...problems(...STORE_PROBLEMS) },
    },
  },
  '/healthz': {
    get: {
      operationId: 'getLiveness',
      summary: 'Whether the process lives',
      tags: ['operation'],
      security: [],
      responses: { 200: answer('It does', z.object({ status: z.literal('ok') })), ...problems() },
    },
  },
  '/readyz': {
    get: {
      operationId: 'getReadiness',
      summary: 'Whether the process takes work: not while the store is away or it drains',
      tags: ['operation'],
      security: [],
      responses: {
        200: answer('It does', z.object({ status: z.literal('ready'), warnings: z.array(z.string()) })),
        ...problems('unavailable'),
      },
    },
  },
  '/metrics': {
    get: {
      operationId: 'getMetrics',
      summary: 'Measurements for Prometheus',
      tags: ['operation'],
      responses: {
        200: { description: 'Text format', content: { 'text/plain': { schema: z.string() } } },
        ...problems('unauthorized'),
      },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'getOpenApi',
      summary: 'This description',
      tags: ['operation'],
      security: [],
      responses: { 200: answer('OpenAPI 3.1', z.record(z.string(), z.json())), ...problems() },
    },
  },
  '/ws': {
    get: {
      operationId: 'openSocket',
      summary: 'Watch jobs over a WebSocket; with `job`, that one from the start',
      tags: ['watching'],
      security: [{}, { bearer: [] }, { token: [] }],
      requestParams: { query: SocketQuery },
      responses: {
        101: answer('The socket is open; the first frame is `hello`'),
        ...problems('unauthorized', 'not_found', 'rate_limited', 'unavailable'),
      },
    },
  },
}
