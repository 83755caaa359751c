import fc from 'fast-check'
import type { Json } from '../../../server/engine/engine.ts'

/** Types of the model; both exist from the start. */
export const TYPES = ['alpha', 'beta'] as const
export type TypeName = (typeof TYPES)[number]

/** `soon` is due after a moment and waits for `promote`; `later` never comes due in a test. */
type When = 'now' | 'soon' | 'later'

/** With an `n`, it may be one that the run has reported before. */
export type ModelEvent = { readonly n?: number } & (
  | { readonly kind: 'progress'; readonly data: { readonly percent: number; readonly note: string | null } }
  | { readonly kind: 'log'; readonly data: { readonly level: 'info'; readonly line: string } }
  | { readonly kind: 'chunk'; readonly data: Json }
)

export type ModelOutcome =
  | { readonly kind: 'completed'; readonly result: Json }
  | { readonly kind: 'failed' }
  | { readonly kind: 'retry'; readonly when: 'soon' | 'later' }
  | { readonly kind: 'later'; readonly when: 'soon' | 'later' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'released' }

/**
 * One step. Jobs and runs are named by numbers that are taken modulo how many there have been, so that any number
 * means something, very often a job that is gone or a lease that is stale.
 */
export type Command =
  | {
      readonly verb: 'submit'
      readonly type: TypeName
      readonly count: number
      readonly priority: number
      readonly maxStalls: number
      readonly when: When
    }
  /** With an idempotency key; `body` says which of two bodies. */
  | { readonly verb: 'submit once'; readonly key: number; readonly body: number }
  /** `limit` jobs of each type; short leases have run out when `rescue` comes. */
  | {
      readonly verb: 'claim'
      readonly types: readonly TypeName[]
      readonly limit: number
      readonly short: boolean
    }
  /** The last claim of long leases, sent again. */
  | { readonly verb: 'claim again' }
  | { readonly verb: 'extend'; readonly runs: readonly number[] }
  | { readonly verb: 'report'; readonly run: number; readonly events: readonly ModelEvent[] }
  | {
      readonly verb: 'settle'
      readonly runs: readonly { readonly run: number; readonly outcome: ModelOutcome }[]
      readonly events: readonly ModelEvent[]
      /** Claims one job of each type in the same call. */
      readonly next: boolean
    }
  | { readonly verb: 'promote' | 'rescue' }
  | { readonly verb: 'cancel' | 'retry' | 'remove'; readonly job: number }
  | { readonly verb: 'pause' | 'resume'; readonly type: TypeName }

const type = fc.constantFrom(...TYPES)
const some = fc.nat({ max: 40 })
const json = fc.constantFrom<Json>(null, 0, '', 'é\u0000', [], {}, { a: [1, { b: null }] })

const unnumbered = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('progress' as const),
      data: fc.record({ percent: fc.integer({ min: 0, max: 100 }), note: fc.constantFrom(null, '', 'note') }),
    }),
    fc.record({
      kind: fc.constant('log' as const),
      data: fc.record({ level: fc.constant('info' as const), line: fc.constantFrom('', 'line') }),
    }),
    fc.record({ kind: fc.constant('chunk' as const), data: json }),
  ),
  { maxLength: 4 },
)

const events = fc
  .tuple(unnumbered, fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }))
  .map(([list, from]): ModelEvent[] =>
    from === undefined ? list : list.map((event, index) => ({ ...event, n: from + index })),
  )

const outcome: fc.Arbitrary<ModelOutcome> = fc.oneof(
  fc.record({ kind: fc.constant('completed' as const), result: json }),
  fc.record({ kind: fc.constant('failed' as const) }),
  fc.record({ kind: fc.constant('retry' as const), when: fc.constantFrom('soon', 'later') }),
  fc.record({ kind: fc.constant('later' as const), when: fc.constantFrom('soon', 'later') }),
  fc.record({ kind: fc.constant('cancelled' as const) }),
  fc.record({ kind: fc.constant('released' as const) }),
)

const submit = fc
  .record({
    verb: fc.constant('submit' as const),
    type,
    count: fc.integer({ min: 1, max: 3 }),
    priority: fc.constantFrom(0, 0, 1, 9),
    maxStalls: fc.constantFrom(0, 1, 2),
    when: fc.constantFrom<When>('now', 'now', 'now', 'soon', 'later'),
  })
  // Jobs that come due in the same millisecond have no order of their own.
  .map((command) => (command.when === 'soon' ? { ...command, count: 1 } : command))

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: submit },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('submit once'), key: fc.nat(1), body: fc.nat(1) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      verb: fc.constant('claim'),
      types: fc.constantFrom<readonly TypeName[]>(['alpha'], ['beta'], ['alpha', 'beta'], ['beta', 'alpha']),
      limit: fc.integer({ min: 1, max: 3 }),
      short: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('claim again') }) },
  {
    weight: 2,
    arbitrary: fc.record({ verb: fc.constant('extend'), runs: fc.array(some, { maxLength: 4 }) }),
  },
  { weight: 3, arbitrary: fc.record({ verb: fc.constant('report'), run: some, events }) },
  {
    weight: 7,
    arbitrary: fc.record({
      verb: fc.constant('settle'),
      runs: fc.array(fc.record({ run: some, outcome }), { minLength: 1, maxLength: 3 }),
      events,
      next: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ verb: fc.constantFrom('promote', 'rescue') }) },
  { weight: 5, arbitrary: fc.record({ verb: fc.constantFrom('cancel', 'retry', 'remove'), job: some }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constantFrom('pause', 'resume'), type }) },
)

export const commands = fc.array(command, { minLength: 5, maxLength: 45, size: 'max' })
