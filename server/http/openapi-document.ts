import { globalRegistry, type z } from 'zod'
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
  TokenAnswer,
  TypeInfo,
  TypesAnswer,
  WorkerInfo,
} from '../../shared/api.ts'
import { JobEvent } from '../../shared/event.ts'
import { Job, JobSummary } from '../../shared/job.ts'
import { SubmitOptions } from '../../shared/options.ts'
import { paths } from './openapi-paths.ts'

const DESCRIPTION = `Submit jobs, ask for them, cancel and retry them; watch them over WebSocket (\`/ws\`), server-sent
events or long-polling. Errors are problem details (RFC 9457) with a stable \`code\`. Unknown fields and unknown
query parameters are errors.`

/** Schemas that stand once, under their names, and are referred to. */
const NAMED: Record<string, z.ZodType> = {
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
}

/** OpenAPI 3.1, as JSON, of everything that is served, from the schemas that requests and answers are held to. */
export function openApiDocument(version: string): string {
  for (const [id, schema] of Object.entries(NAMED)) globalRegistry.add(schema, { id })
  const document = createDocument({
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
          description: 'An API key or a job token, where API keys are set; without them nothing is asked for',
        },
        token: {
          type: 'apiKey',
          in: 'query',
          name: 'token',
          description: 'A job token, for an EventSource or a WebSocket, which can set no header',
        },
      },
    },
  })
  return JSON.stringify(document, plainJson)
}

const NAMELESS = '__schema'

/**
 * Any JSON value, the only recursive schema there is, comes out as nameless unions of themselves; the empty
 * schema says the same more plainly.
 */
function plainJson(key: string, value: unknown): unknown {
  if (key.startsWith(NAMELESS)) return undefined
  const reference = typeof value === 'object' && value !== null && '$ref' in value ? value.$ref : undefined
  const nameless = typeof reference === 'string' && reference.includes(`/${NAMELESS}`)
  return nameless ? { description: 'Any JSON value' } : value
}
