import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Claim, JsonText, type Outcome, type RunEvent } from '../../server/engine/engine.ts'
import type { JobDefinition } from '../../server/jobs/define-job.ts'
import { Attempt, type AttemptHost, after } from '../../server/worker/attempt.ts'
import { currentScope, type Executor, inProcess } from '../../server/worker/execution.ts'
import { DEFAULT_OPTIONS } from '../../shared/options.ts'
import { aClaim } from '../helpers/a-run.ts'

const TIMEOUT_MS = 15

interface Ended {
  readonly outcomes: (Outcome | null)[]
  /** How often its slot was freed. */
  readonly ended: number
  readonly failures: unknown[]
  /** What was reported, also afterwards. */
  readonly emitted: readonly RunEvent[]
}

type Given = Pick<JobDefinition, 'payload' | 'result' | 'run'>

/** An attempt of such a type, run until its slot is free, with what `meanwhile` does to it. */
async function attempt(
  given: Given,
  meanwhile: (attempt: Attempt<{ claim: Claim }>) => void = () => {},
  executor: Executor = inProcess(given.run ?? (() => null)),
): Promise<Ended> {
  const outcomes: (Outcome | null)[] = []
  const failures: unknown[] = []
  const emitted: RunEvent[] = []
  let ended = 0
  const policy = { ...DEFAULT_OPTIONS, maxAttempts: 1, timeoutMs: TIMEOUT_MS }
  const claim = aClaim({ policy })
  await new Promise<void>((resolve, reject) => {
    const host: AttemptHost<{ claim: Claim }> = {
      cancelGraceMs: 10,
      maxResultBytes: 1024,
      random: () => 0,
      after,
      emit: (_run, event) => void emitted.push(event),
      decided: (_run, outcome) => void outcomes.push(outcome),
      ended: () => {
        ended += 1
        // Whatever ends it a second time does so at once.
        setImmediate(resolve)
      },
      overstayed: (_run, killed) => killed || resolve(),
      failure: (error) => void failures.push(error),
    }
    const one = new Attempt({ claim }, { definition: { type: 't', ...given }, executor }, host)
    one.run().catch(reject)
    meanwhile(one)
  })
  return { outcomes, ended, failures, emitted }
}

const boom = () => {
  throw new Error('boom')
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const KEYS = ['name', 'message', 'stack', 'code', 'cause', 'errors', 'issues', 'value', 'toJSON', 'then']
const TRAPS = ['get', 'has', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor', 'set', 'defineProperty']

/** Makes a value as no handler should: the library that makes them up would look at the value itself. */
type Make = () => unknown

/** Some of them hold others. */
const { nasty } = fc.letrec<{ nasty: Make }>((tie) => {
  const other = tie('nasty')
  return {
    nasty: fc.oneof(
      { depthSize: 'small' },
      fc.anything().map(
        (value): Make =>
          () =>
            value,
      ),
      fc.constantFrom<unknown>(undefined, Symbol('x'), 12n, Number.NaN, '', boom).map(
        (value): Make =>
          () =>
            value,
      ),
      fc.constantFrom<Make>(
        revoked,
        circular,
        () => new Error('plain'),
        () => Object.create(null),
      ),
      fc.constantFrom(...TRAPS).map(
        (trap): Make =>
          () =>
            new Proxy({}, { [trap]: boom }),
      ),
      fc.constantFrom(...TRAPS).map(
        (trap): Make =>
          () =>
            new Proxy(new Error('within'), { [trap]: boom }),
      ),
      fc.constantFrom(...KEYS).map(
        (key): Make =>
          () =>
            withGetter(key),
      ),
      fc.tuple(fc.constantFrom(...KEYS), other).map(
        ([key, make]): Make =>
          () => ({ [key]: make() }),
      ),
      other.map(
        (make): Make =>
          () =>
            new Error('with a cause', { cause: make() }),
      ),
      other.map(
        (make): Make =>
          () =>
            new AggregateError([make(), revoked()], 'of many'),
      ),
      other.map(
        (make): Make =>
          () => ({ toJSON: throwing(make) }),
      ),
      other.map(
        (make): Make =>
          () => ({ toJSON: make }),
      ),
      other.map(
        (make): Make =>
          () =>
            Object.defineProperty({}, 'then', { value: throwing(make) }),
      ),
      other.map(
        (make): Make =>
          () => [make()],
      ),
    ),
  }
})

function circular(): unknown {
  const value: Record<string, unknown> = {}
  value.self = value
  return value
}

function withGetter(key: string): unknown {
  return Object.defineProperty(new AggregateError([], 'with a getter'), key, { get: boom, enumerable: true })
}

function throwing(make: Make): () => never {
  return () => {
    throw make()
  }
}

/** What a schema, or a handler, does with a value. */
const answers = fc
  .tuple(fc.constantFrom('throw', 'reject', 'return', 'resolve'), nasty)
  .map(([how, make]): Make => {
    if (how === 'throw') return throwing(make)
    if (how === 'reject') return () => Promise.reject(make())
    return how === 'resolve' ? () => Promise.resolve(make()) : make
  })

const schema = (validate: Make) => ({
  '~standard': { version: 1, vendor: 'nasty', validate: validate as never } as const,
})

const HANDS = {
  handler: (answer: Make): Given => ({ run: answer }),
  'schema of the payload': (answer: Make): Given => ({ payload: schema(answer) }),
  'schema of the result': (answer: Make): Given => ({ result: schema(answer) }),
}

/** One outcome that any store can take, one slot freed, nothing that should not be able to fail. */
function expectWhole({ outcomes, ended, failures }: Ended): void {
  expect(failures).toEqual([])
  expect(ended).toBe(1)
  expect(outcomes).toHaveLength(1)
  const [outcome] = outcomes
  expect(JSON.parse(JSON.stringify(outcome))).toEqual(outcome)
  if (outcome != null && 'error' in outcome) {
    expect(outcome.error).not.toBe('')
    expect(Buffer.byteLength(outcome.error)).toBeLessThanOrEqual(8192)
  }
}

describe('an attempt ends, once, and frees its slot, whatever value comes', () => {
  test.each(Object.entries(HANDS))('out of its %s', async (_what, given) => {
    await fc.assert(
      fc.asyncProperty(answers, async (answer) => expectWhole(await attempt(given(answer)))),
      { numRuns: 300 },
    )
  })

  test('out of what its handler has begun', async () => {
    await fc.assert(
      fc.asyncProperty(nasty, async (make) => {
        const run = () => new Promise<never>(() => {})
        const ended = await attempt({ run }, (one) => void setImmediate(() => one.uncaught(make())))
        expectWhole(ended)
        expect(ended.outcomes[0]).toMatchObject({ kind: 'failed', errorCode: 'uncaught' })
      }),
      { numRuns: 300 },
    )
  })
})

const never = () => new Promise<never>(() => {})

describe('a schema that never answers', () => {
  test('of the result: the attempt times out as it would in its handler, and frees its slot', async () => {
    const { outcomes, ended } = await attempt({ result: schema(never) })
    expect(ended).toBe(1)
    expect(outcomes).toMatchObject([{ kind: 'failed', errorCode: 'timeout' }])
    expect(outcomes[0]).toHaveProperty(
      'error',
      expect.stringContaining("the result's schema had not answered"),
    )
  })

  test.each(['payload', 'result'] as const)(
    'of the %s: a cancel ends it, and frees its slot',
    async (which) => {
      const { outcomes, ended } = await attempt(
        { [which]: schema(never) },
        (one) => void setTimeout(() => one.cancel(), 2),
      )
      expect(ended).toBe(1)
      expect(outcomes).toEqual([{ kind: 'cancelled' }])
    },
  )
})

describe('a handler', () => {
  test('that throws something else when it is cancelled has been cancelled', async () => {
    const run: NonNullable<JobDefinition['run']> = (_payload, { signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('half done'))))
    const { outcomes } = await attempt({ run }, (one) => void setImmediate(() => one.cancel()))
    expect(outcomes).toEqual([{ kind: 'cancelled' }])
  })

  test('reports nothing any more once its outcome is decided', async () => {
    const reports: ((percent: number) => void)[] = []
    const { emitted } = await attempt({
      run(_payload, { progress }) {
        reports.push(progress)
        progress(1)
      },
    })
    for (const progress of reports) progress(2)
    expect(emitted.map(({ data }) => data)).toEqual([{ percent: 1, note: null }])
  })
})

describe('an exception of what the handler has begun', () => {
  const run: NonNullable<JobDefinition['run']> = (_payload, { signal }) =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)))

  test('counts once, and not when the run has ended', async () => {
    const counted: boolean[] = []
    const { outcomes } = await attempt({ run: never }, (one) => {
      counted.push(one.uncaught(new Error('first')), one.uncaught(new Error('second')))
    })
    expect(outcomes).toMatchObject([{ kind: 'failed', error: 'first', errorCode: 'uncaught' }])
    expect(counted).toEqual([true, false])
  })

  test('tells the handler to stop', async () => {
    const reasons: unknown[] = []
    const noting: NonNullable<JobDefinition['run']> = async (payload, context) =>
      reasons.push(await run(payload, context))
    await attempt({ run: noting }, (one) => void setImmediate(() => one.uncaught(new Error('boom'))))
    expect(reasons).toMatchObject([{ name: 'AbortError', reason: 'uncaught' }])
  })

  test('under a cancel leaves the job cancelled, and frees its slot', async () => {
    const { outcomes, ended } = await attempt({ run: never }, (one) => {
      one.cancel()
      expect(one.uncaught(new Error('in an abort listener'))).toBe(false)
    })
    expect([outcomes, ended]).toEqual([[{ kind: 'cancelled' }], 1])
  })

  test('that is the signal itself, come to a forgotten promise, is none', async () => {
    const heeding: NonNullable<JobDefinition['run']> = async (payload, context) => {
      await run(payload, context)
      return 'heeded'
    }
    const { outcomes } = await attempt({ run: heeding }, (one) => {
      setImmediate(() => {
        one.cancel()
        expect(one.uncaught(one.signal.reason)).toBe(false)
      })
    })
    expect(outcomes).toEqual([{ kind: 'completed', result: new JsonText('"heeded"') }])
  })

  test.each([
    ['that runs', () => {}, { kind: 'failed', errorCode: 'uncaught' }],
    ['that is cancelled', (one: Attempt<{ claim: Claim }>) => one.cancel(), { kind: 'cancelled' }],
  ] as const)(
    'kills the thread of an attempt %s, whose slot is free when it is gone',
    async (_what, before, outcome) => {
      const events: string[] = []
      const thread: Executor = {
        kills: true,
        run: (_payload, { killed }) =>
          new Promise((resolve) => {
            killed.addEventListener('abort', () => {
              events.push('killed')
              setTimeout(() => resolve(events.push('gone')), 2)
            })
          }),
      }
      const meanwhile = (one: Attempt<{ claim: Claim }>) => {
        before(one)
        one.uncaught(new Error('out of the schema of its payload'))
      }
      const { outcomes, ended } = await attempt({}, meanwhile, thread)
      expect([events, ended]).toEqual([['killed', 'gone'], 1])
      expect(outcomes).toMatchObject([outcome])
    },
  )
})

describe('what a handler returns to be waited for', () => {
  class Lazy extends Promise<unknown> {
    // biome-ignore lint/suspicious/noThenProperty: as the queries of database libraries are.
    override then: Promise<unknown>['then'] = (resolved) => {
      const whose = currentScope()?.jobId
      return Promise.resolve(whose).then(resolved as never)
    }
  }
  const lazy = new Lazy(() => {})

  test.each([
    ['a promise', lazy],
    // biome-ignore lint/suspicious/noThenProperty: as above.
    ['an object', { then: lazy.then }],
    // biome-ignore lint/suspicious/noThenProperty: as above.
    ['a function', Object.assign(() => {}, { then: lazy.then })],
  ])('begins its work as its own, where it is %s that begins it only then', async (_what, returned) => {
    const { outcomes } = await attempt({ run: () => returned })
    expect(outcomes).toEqual([{ kind: 'completed', result: new JsonText('"j"') }])
  })
})
