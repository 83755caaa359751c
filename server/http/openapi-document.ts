import { z } from 'zod'
import { createDocument } from 'zod-openapi'
import {
  BatchAnswer,
  BatchBody,
  GatewayInfo,
  ListAnswer,
  OverviewAnswer,
  PollAnswer,
  Problem,
  SubmitAnswer,
  SubmitBody,
  SubmitOptions,
  TokenAnswer,
  TypeInfo,
  TypesAnswer,
  WorkerInfo,
} from '../../shared/api.ts'
import { JobEvent } from '../../shared/event.ts'
import { Job, JobSummary } from '../../shared/job.ts'
import { paths } from './openapi-paths.ts'

const DESCRIPTION = `Submit jobs, ask for them, cancel and retry them; watch them over WebSocket (\`/ws\`), server-sent
events or long-polling. Errors are problem details (RFC 9457) with a stable \`code\`. Unknown fields and unknown
query parameters are errors.`

/** OpenAPI 3.1 of everything that is served, from the schemas that requests and answers are held to. */
export function openApiDocument(version: string): ReturnType<typeof createDocument> {
  return createDocument(
    {
      openapi: '3.1.0',
      info: {
        title: 'Jobcast',
        version,
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'jobs', description: 'Submitting jobs and what can be done with one' },
        { name: 'watching', description: 'Every change of a job as it happens' },
        { name: 'types', description: 'Job types and their queues' },
        { name: 'operation', description: 'For operators and their tools' },
      ],
      security: [{ bearer: [] }],
      paths,
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description:
              'An API key or a job token, where API keys are set; without them nothing is asked for',
          },
          token: {
            type: 'apiKey',
            in: 'query',
            name: 'token',
            description: 'A job token, for an EventSource or a WebSocket, which can set no header',
          },
        },
        schemas: {
          BatchAnswer,
          BatchBody,
          GatewayInfo,
          Job,
          JobEvent,
          JobSummary,
          ListAnswer,
          OverviewAnswer,
          PollAnswer,
          Problem,
          SubmitAnswer,
          SubmitBody,
          SubmitOptions,
          TokenAnswer,
          TypeInfo,
          TypesAnswer,
          WorkerInfo,
        },
      },
    },
    { override: anyJson },
  )
}

/** Any JSON value is the empty schema, which says so more plainly than a union of itself. */
function anyJson({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodType; jsonSchema: object }): void {
  if (!isJson(zodSchema)) return
  for (const key of Object.keys(jsonSchema)) Reflect.deleteProperty(jsonSchema, key)
  Object.assign(jsonSchema, { description: 'Any JSON value' })
}

/** `z.json()` is the one lazy schema here. */
function isJson(schema: z.core.$ZodType): boolean {
  return schema instanceof z.ZodLazy
}
