import { z } from 'zod'
import { fill, type Marked, optionShapeOf, shapeOf, table, usualOf, type ValuesOf } from './table.ts'

/**
 * Every option that there is, in tables: checks of definitions and submissions, defaults, what stores keep, OpenAPI and
 * the reference in docs/protocol.md follow from them. CONTRIBUTING.md says how one is added.
 */

const DAY_MS = 24 * 60 * 60 * 1000
export const YEAR_MS = 365 * DAY_MS

/** A whole number of this range; whatever else it is, one sentence says it all. */
export function wholeFrom(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}

function numberFrom(min: number, max: number) {
  const error = `must be a number from ${min} to ${max}`
  return z.number({ error }).min(min, { error }).max(max, { error })
}

/** How long to wait before the next attempt. */
export const BACKOFF = table({
  kind: {
    schema: z.enum(['fixed', 'exponential']),
    usual: 'exponential',
    about: 'whether the delay stays as it is or doubles with every attempt',
  },
  delayMs: { schema: wholeFrom(0, DAY_MS), usual: 1000, about: 'before the second attempt' },
  maxMs: {
    schema: wholeFrom(0, DAY_MS),
    usual: 60_000,
    about: 'the longest delay; one that is filled in is never less than a `delayMs` that is said beside it',
  },
  jitter: {
    schema: numberFrom(0, 1),
    usual: 0.5,
    about: 'the part of the delay that chance may take off: 0.5 is up to half of it',
  },
})

export const Backoff = z.strictObject(shapeOf(BACKOFF))
export type Backoff = z.infer<typeof Backoff>

/** The rest is filled in. */
const SaidBackoff = Backoff.partial()

/**
 * What is `said`, else what is `usual`. A usual `maxMs` does not cut a longer `delayMs` that somebody asked for with the same
 * words, and stays as it is where nobody asked for a delay, even where it is less than the usual one.
 */
export function fillBackoff(said: z.infer<typeof SaidBackoff>, usual: Backoff): Backoff {
  const raised = said.delayMs === undefined ? usual.maxMs : Math.max(said.delayMs, usual.maxMs)
  const maxMs = said.maxMs ?? raised
  return fill({ ...said, maxMs }, usual)
}

/** How a job is run: what its submission says, else its type. Times in ms. */
export const POLICY = table({
  priority: {
    schema: wholeFrom(0, 9),
    usual: 0,
    about: 'higher first; first in, first out within one',
  },
  maxAttempts: { schema: wholeFrom(1, 100), usual: 3, about: 'attempts in all' },
  maxStalls: { schema: wholeFrom(0, 100), usual: 2, about: 'stalls after which it is run again' },
  backoff: {
    schema: Backoff,
    option: SaidBackoff,
    usual: usualOf(BACKOFF),
    about: "how long to wait before the next attempt; of a part the rest is the type's",
  },
  timeoutMs: {
    schema: wholeFrom(10, DAY_MS),
    usual: 600_000,
    about: "of one attempt, from the handler's start",
  },
  retainMs: {
    schema: wholeFrom(1000, YEAR_MS),
    usual: DAY_MS,
    about: 'for how long it can be read when it has ended, so that whoever reconnects learns how',
  },
})

/** The options that handlers find in their `ctx`. */
export type ToldOption = Marked<typeof POLICY, { readonly inContext: true }>

/** How one job is to be run, with nothing left open. */
export type RunPolicy = Readonly<ValuesOf<typeof POLICY>>

export const DEFAULT_OPTIONS: RunPolicy = usualOf(POLICY)

/** What a type, or a submission, may say of it. */
export const SaidPolicy = z.strictObject(optionShapeOf(POLICY)).partial()
export type SaidPolicy = z.infer<typeof SaidPolicy>

/** What is `said`, else what is `usual`: that very policy where nothing is said, by which stores remember its text. */
export function fillPolicy(said: SaidPolicy, usual: RunPolicy): RunPolicy {
  const backoff = said.backoff && fillBackoff(said.backoff, usual.backoff)
  return fill({ ...said, backoff }, usual)
}

/**
 * What a submission says of a job that everyone sees and nothing changes: kept with the job as it is, part of it on every
 * way, and known to whoever claims it.
 */
export const LABELS = table({
  tags: {
    schema: z.array(z.string()),
    option: z.array(z.string().min(1).max(64)).max(10),
    usual: [],
    from: 'label',
    about: 'words by which lists find it',
  },
})

export type Labels = Readonly<ValuesOf<typeof LABELS>>

export const NO_LABELS: Labels = usualOf(LABELS)

export function fillLabels(said: { readonly [Name in keyof Labels]?: Labels[Name] | undefined }): Labels {
  return fill(said, NO_LABELS)
}

/** When a job is to be run. */
export const TIMES = table({
  delayMs: {
    schema: wholeFrom(0, YEAR_MS),
    usual: 0,
    about: 'how long it is scheduled before it is queued',
  },
  runAt: {
    schema: z
      .union([z.iso.datetime({ offset: true }), z.iso.datetime({ offset: true, precision: -1 })], {
        error: 'must be an ISO 8601 date and time with a zone',
      })
      .nullable(),
    usual: null,
    about:
      'when to queue it, with a zone, at most a year ahead; a time past is now; not together with `delayMs`',
  },
})

/** What a submission may say; what it leaves out comes from the type, then is what is usual. */
export const SubmitOptions = z
  .strictObject({ ...optionShapeOf(TIMES), ...optionShapeOf(POLICY), ...optionShapeOf(LABELS) })
  .partial()
  .refine((options) => options.delayMs === undefined || options.runAt == null, {
    path: ['runAt'],
    error: 'cannot be combined with delayMs',
  })
export type SubmitOptions = z.infer<typeof SubmitOptions>
