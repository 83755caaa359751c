import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { TypeName } from '../../shared/api.ts'
import type { LogLevel } from '../../shared/event.ts'
import type { Job, ToldField } from '../../shared/job.ts'
import type { JobType, Jsonified } from '../../shared/job-type.ts'
import {
  DEFAULT_OPTIONS,
  fillPolicy,
  type RunPolicy,
  SaidPolicy,
  type ToldOption,
  wholeFrom,
} from '../../shared/options.ts'
import { findingsOf } from '../../shared/words.ts'
import type { Awaitable } from './check-value.ts'

/** What a handler is told of its job: the fields, and the options of its run, that their tables mark as such. */
export type ToldOfJob = Readonly<Pick<Job, ToldField> & Pick<RunPolicy, ToldOption>>

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

/** What a type says of itself, and of how its jobs are run. Times in ms. */
interface JobSettings<Name extends string> extends Readonly<SaidPolicy> {
  /** Matches `[a-z][a-z0-9._-]{0,63}`; every type is its own queue. */
  readonly type: Name
  /** Runs of this type at once in one process; left out: as many as the process runs in all. */
  readonly concurrency?: number
}

/**
 * A job type, as the server takes it. `payload` is a zod schema or any Standard Schema; left out, any JSON goes. Exactly one
 * of `run` (in this process) and `isolate` (in a worker thread that ends with the run and is killed at the timeout: the URL of
 * an ES module that exports `run(payload, context)`, since functions do not cross threads) is given.
 */
export interface JobDefinition<
  Name extends string = string,
  Input = unknown,
  Output = unknown,
  Result = unknown,
> extends JobSettings<Name>,
    JobType {
  readonly type: Name
  /** What a submission's payload is checked by. */
  readonly payload?: StandardSchemaV1<unknown, Output>
  /** What the handler's result is checked by. */
  readonly result?: StandardSchemaV1
  // A method, so that what takes a certain payload is a definition like any other.
  /** The handler. What it returns, or the promise of it, is the job's result; what it throws fails the attempt. */
  run?(payload: Output, context: JobContext): unknown
  /** Of the module that has the handler: such as `new URL('./render.mjs', import.meta.url)`. */
  readonly isolate?: URL | string
  readonly '~job'?: { readonly input: Input; readonly output: Output; readonly result: Result }
}

/** A definition whose handler runs in this process, and can be called by a test as well. */
export interface RunnableJob<Name extends string, Input, Output, Result, Returned>
  extends JobDefinition<Name, Input, Output, Result> {
  run(payload: Output, context: JobContext): Returned
  readonly isolate?: never
}

type Schema = StandardSchemaV1 | undefined
type InputBy<Payload> = Payload extends StandardSchemaV1 ? StandardSchemaV1.InferInput<Payload> : unknown
type OutputBy<Payload> = Payload extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<Payload> : unknown

/** A handler that returns nothing has the result null. */
type ResultBy<Result, Returned> = Result extends StandardSchemaV1
  ? Jsonified<StandardSchemaV1.InferOutput<Result>>
  : Awaited<Returned> extends void
    ? null
    : Jsonified<Awaited<Returned>>

interface Declared<Name extends string, Payload, Result> extends JobSettings<Name> {
  /**
   * Zod or any Standard Schema. Left out: any JSON goes, and the handler gets it as it came. Where it follows Standard JSON Schema too
   * (zod from 4.2, arktype, valibot in `toStandardJsonSchema` of `@valibot/to-json-schema`), forms, OpenAPI and processes without
   * these jobs know what it takes.
   */
  readonly payload?: Payload
  /** Is given what the handler returned, as JSON; what it makes of that is the result. */
  readonly result?: Result
}

/**
 * Declares a job type, and keeps in its own type the name, what submitters send, what the handler gets and what it returns.
 * The result of an isolated handler is known by its schema; `z.custom<Picture>()` says a type and checks nothing. Throws a
 * `TypeError` that names the field where the declaration is wrong.
 */
export function defineJob<
  const Name extends string,
  Returned extends Awaitable<InputBy<Result>>,
  Payload extends Schema = undefined,
  Result extends Schema = undefined,
  Isolate extends URL | string | undefined = undefined,
>(
  definition: Declared<Name, Payload, Result> &
    (
      | { run(payload: OutputBy<Payload>, context: JobContext): Returned; readonly isolate?: never }
      | { readonly isolate: Isolate; readonly run?: never }
    ),
): Isolate extends undefined
  ? RunnableJob<Name, InputBy<Payload>, OutputBy<Payload>, ResultBy<Result, Returned>, Returned>
  : JobDefinition<Name, InputBy<Payload>, OutputBy<Payload>, ResultBy<Result, unknown>>
export function defineJob(definition: unknown): JobDefinition {
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
    concurrency: wholeFrom(1, 10_000).optional(),
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
  const [finding] = checked.error.issues.flatMap((issue) => findingsOf(issue))
  const field = finding?.path.join('.') ?? ''
  throw new TypeError(
    `job definition ${typeof name === 'string' ? `"${name}"` : '(without a type)'}: ${field ? `${field}: ` : ''}${finding?.message}`,
  )
}

/** How jobs of this type run where the submission says nothing; `retainMs` is the server's default. */
export function policyOf(definition: JobDefinition, retainMs: number = DEFAULT_OPTIONS.retainMs): RunPolicy {
  return fillPolicy(definition, { ...DEFAULT_OPTIONS, retainMs })
}
