import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JOB_STATUSES } from '../../shared/status.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import type { OpenStore } from './harness.ts'
import { tick } from './harness.ts'
import { type Command, commands, TYPES } from './model/commands.ts'
import { Reference } from './model/reference.ts'
import { Subject } from './model/subject.ts'
import { openRedis } from './open-redis.ts'
import { openSqlite } from './open-sqlite.ts'

/** Sequences to try; more of them find rarer differences. */
const RUNS = Number(process.env.JOBCAST_MODEL_RUNS ?? 30)
/** A failure prints its seed and path; with the seed here it is found again. */
const SEED = process.env.JOBCAST_MODEL_SEED

test(
  'both engines do what a plain program of the contract does, in any order',
  async () => {
    const redis = await startRedis()
    try {
      const parameters = SEED === undefined ? {} : { seed: Number(SEED) }
      await fc.assert(
        fc.asyncProperty(commands, (sequence) => tryOut(redis, sequence)),
        { numRuns: RUNS, endOnFailure: RUNS > 1000, ...parameters },
      )
    } finally {
      await redis.stop()
    }
  },
  20_000 + RUNS * 2000,
)

async function tryOut(redis: RedisServer, sequence: readonly Command[]): Promise<void> {
  const stores: OpenStore[] = []
  try {
    for (const open of [openSqlite, () => openRedis(redis.url)]) stores.push(await open())
    const model = new Reference()
    const subjects = stores.map(({ engine }) => new Subject(engine))
    for (const command of sequence) {
      await step(command, model, subjects)
      const positions = model.jobs.map((job) => job && { seq: job.seq, status: job.fields.status })
      const places = model.places()
      for (const subject of subjects) {
        expect(await subject.positions(), subject.engine.kind).toEqual(positions)
        expect(await subject.places(), subject.engine.kind).toEqual(places)
      }
    }
    const jobs = model.jobs.map((job) => job && { fields: job.fields, seq: job.seq, events: job.events })
    for (const subject of subjects) {
      expect(await subject.jobs(), subject.engine.kind).toEqual(jobs)
      expect(await countsOf(subject), subject.engine.kind).toEqual(countsOfModel(model))
    }
  } finally {
    await Promise.all(stores.map((store) => store.close()))
  }
}

/** Does one thing to the model and to every engine, and compares what they answer. */
async function step(command: Command, model: Reference, subjects: readonly Subject[]): Promise<void> {
  const same = async (expected: unknown, call: (subject: Subject) => Promise<unknown>) => {
    await Promise.all(
      subjects.map(async (subject) => {
        expect(await call(subject), `${subject.engine.kind}: ${command.verb}`).toEqual(expected)
      }),
    )
  }
  /** Now and then one that never was. */
  const anyJob = (job: number) => job % (model.jobs.length + 1)
  const anyRun = (run: number) => run % (model.runs.length + 1)

  switch (command.verb) {
    case 'submit':
      await same(model.submit(command), (subject) => subject.submit(command))
      if (command.when === 'soon') await tick()
      return
    case 'submit once':
      return same(model.submitOnce(command.key, command.body), (subject) =>
        subject.submitOnce(command.key, command.body),
      )
    case 'claim': {
      const { types, limit, short } = command
      return same(model.claim(types, limit, short), (subject) => subject.claim(types, limit, short))
    }
    case 'claim again': {
      const expected = model.claimAgain()
      return expected === null ? undefined : same(expected, (subject) => subject.claimAgain())
    }
    case 'extend': {
      const runs = command.runs.map(anyRun)
      const expected = runs.map((run) => model.extend(run))
      return same(expected, (subject) => subject.extend(runs))
    }
    case 'report': {
      const report = { ...command, run: anyRun(command.run) }
      return same([model.report(report.run, report.events)], (subject) => subject.report(report))
    }
    case 'settle':
      return settle(
        { ...command, runs: command.runs.map((one) => ({ ...one, run: anyRun(one.run) })) },
        model,
        same,
      )
    case 'promote': {
      const promoted = model.promote()
      return same(undefined, (subject) => subject.promote(promoted, model.scheduled))
    }
    case 'rescue': {
      const rescued = model.rescue()
      return same(undefined, (subject) => subject.rescue(rescued))
    }
    case 'cancel': {
      const job = anyJob(command.job)
      return same(model.cancel(job), (subject) => subject.change('cancel', job))
    }
    case 'retry': {
      const job = anyJob(command.job)
      return same(model.retry(job), (subject) => subject.change('retry', job))
    }
    case 'remove': {
      const job = anyJob(command.job)
      return same(model.remove(job), (subject) => subject.remove(job))
    }
    case 'pause':
    case 'resume':
      if (command.verb === 'pause') model.paused.add(command.type)
      else model.paused.delete(command.type)
      return same(undefined, (subject) => subject.engine[command.verb](command.type))
  }
}

async function settle(
  command: Extract<Command, { verb: 'settle' }>,
  model: Reference,
  same: (expected: unknown, call: (subject: Subject) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  // Two retries that come due in one millisecond would have no order of their own.
  let soon = 0
  const runs = command.runs.map(({ run, outcome }) => {
    if (outcome.kind !== 'retry' || outcome.when !== 'soon' || soon++ === 0) return { run, outcome }
    return { run, outcome: { kind: 'retry', when: 'later' } } as const
  })
  const verdicts = runs.map(({ run, outcome }) => model.settle(run, outcome, command.events))
  const claims = command.next ? model.claim(TYPES, 1, false) : []
  await same({ verdicts: verdicts.map(() => true), claims }, async (subject) => {
    const answer = await subject.settle({ ...command, runs })
    expect(answer.verdicts).toHaveLength(verdicts.length)
    return {
      verdicts: answer.verdicts.map((verdict, index) => verdicts[index]?.includes(verdict) || verdict),
      claims: answer.claims,
    }
  })
  if (soon > 0) await tick()
}

function countsOfModel(model: Reference): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const type of TYPES) {
    for (const status of JOB_STATUSES) {
      counts[`${type} ${status}`] = model.jobs.filter(
        (job) => job?.type === type && job.fields.status === status,
      ).length
    }
  }
  return counts
}

async function countsOf(subject: Subject): Promise<Record<string, number>> {
  const counts = countsOfModel(new Reference())
  for (const { type, counts: ofType } of await subject.engine.types()) {
    for (const status of JOB_STATUSES) counts[`${type} ${status}`] = ofType[status]
  }
  return counts
}
