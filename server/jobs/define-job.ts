import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { TypeName } from '../../shared/api.ts'
import type { LogLevel } from '../../shared/event.ts'
import type { JOB, Job } from '../../shared/job.ts'
import { DEFAULT_OPTIONS, fillPolicy, type POLICY, type RunPolicy, SaidPolicy } from '../../shared/options.ts'
import type { Marked } from '../../shared/table.ts'

interface Told {
  readonly inContext: true
}

/** What a handler is told of its job: the fields, and the options of its run, that their tables mark as such. */
export type ToldOfJob = Readonly<
  Pick<Job, Marked<typeof JOB, Told>> & Pick<RunPolicy, Marked<typeof POLICY, Told>>
>

/** What a handler is given besides its payload. */
export interface JobContext extends ToldOfJob {
  /**
   * Fires when the run is cancelled, timed out, lost its lease, is given back since its worker stops, or has failed by what
   * it had begun itself; `signal.reason.reason` says which: `cancelled`, `timeout`, `lost`, `released`, `uncaught`.
   */
  readonly signal: AbortSignal
  /**
   * Fires as soon as the worker begins to drain. The run may still end, report and return: it is given back, and
   * `signal` fires, only when the drain's time (`JOBCAST_DRAIN_MS`) is over.
   */
  readonly draining: AbortSignal
  /** Percent, 0–100; cheap enough to be called in a loop. */
  progress(percent: number, note?: string): void
  /** One line, at most 8 KiB; longer ones are cut. */
  log(line: string, level?: LogLevel): void
  /** A piece of partial output: any JSON up to 256 KiB. Throws a `TypeError` for anything else, and for what JSON would lose. */
  chunk(data: unknown): void
}

export type Handler<Payload, Result> = (payload: Payload, context: JobContext) => Promise<Result> | Result

/** What the type says of how its jobs are run is in `POLICY`, with units and what holds where it is left out. */
interface JobSettings extends Readonly<SaidPolicy> {
  /** Matches `[a-z][a-z0-9._-]{0,63}`; every type is its own queue. */
  readonly type: string
  /** Runs of this type at once in one process; left out: as many as the process runs in all. */
  readonly concurrency?: number
}

/**
 * A job type. `payload` is a zod schema or any Standard Schema; left out, any JSON goes. Exactly one of `run`
 * (in this process) and `isolate` (in a worker thread that ends with the run and is killed at the timeout: the URL of an
 * ES module that exports `run(payload, context)`, since functions do not cross threads) is given.
 */
export interface JobDefinition<Payload = unknown, Result = unknown> extends JobSettings {
  readonly payload?: StandardSchemaV1<unknown, Payload>
  readonly result?: StandardSchemaV1<unknown, unknown>
  readonly run?: Handler<Payload, Result>
  readonly isolate?: URL | string
}

type RunsHere<Payload, Result> = JobSettings & {
  readonly payload?: StandardSchemaV1<unknown, Payload>
  readonly result?: StandardSchemaV1<unknown, Result>
  run(payload: Payload, context: JobContext): Promise<Result> | Result
  readonly isolate?: never
}

type RunsIsolated<Payload> = JobSettings & {
  readonly payload?: StandardSchemaV1<unknown, Payload>
  readonly result?: StandardSchemaV1<unknown, unknown>
  readonly isolate: URL | string
  readonly run?: never
}

/** Declares a job type; throws a `TypeError` that names the field where the declaration is wrong. */
export function defineJob<Payload = unknown, Result = unknown>(
  definition: RunsHere<Payload, Result> | RunsIsolated<Payload>,
): JobDefinition {
  return checkDefinition(definition)
}

const schema = z.custom<StandardSchemaV1>(
  (value) =>
    typeof (value as { '~standard'?: { validate?: unknown } } | null)?.['~standard']?.validate === 'function',
  { error: 'must be a zod schema or another Standard Schema' },
)

const Definition = z
  .strictObject({
    type: TypeName,
    concurrency: z.int().min(1).max(10_000).optional(),
    ...SaidPolicy.shape,
    payload: schema.optional(),
    result: schema.optional(),
    run: z
      .custom<Handler<unknown, unknown>>((value) => typeof value === 'function', 'must be a function')
      .optional(),
    isolate: z.union([z.instanceof(URL), z.string().min(1)]).optional(),
  })
  .refine((value) => (value.run === undefined) !== (value.isolate === undefined), {
    error: 'needs exactly one of run and isolate',
  })

/** Checks what a user's module exports; throws a `TypeError` that names type and field. */
export function checkDefinition(value: unknown): JobDefinition {
  // Compiling a schema pays for itself only when it is used often.
  const checked = Definition.safeParse(value, { jitless: true })
  if (checked.success) return value as JobDefinition
  const name = (value as { type?: unknown } | null)?.type
  const issue = checked.error.issues[0]
  const field = issue?.path.join('.') ?? ''
  throw new TypeError(
    `job definition ${typeof name === 'string' ? `"${name}"` : '(without a type)'}: ${field ? `${field}: ` : ''}${issue?.message}`,
  )
}

/** How jobs of this type run where the submission says nothing; `retainMs` is the server's default. */
export function policyOf(definition: JobDefinition, retainMs: number = DEFAULT_OPTIONS.retainMs): RunPolicy {
  return fillPolicy(definition, { ...DEFAULT_OPTIONS, retainMs })
}

/** JSON Schema of the payload where the schema is zod's; null for others and where it cannot be expressed. */
export function payloadSchemaOf(definition: JobDefinition): Record<string, z.core.util.JSONType> | null {
  if (!(definition.payload instanceof z.ZodType)) return null
  try {
    return z.toJSONSchema(definition.payload, { io: 'input', unrepresentable: 'any' }) as Record<
      string,
      z.core.util.JSONType
    >
  } catch {
    return null
  }
}
