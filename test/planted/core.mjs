/** What both engines share: the steps of a job's life, what each event changes, and what readers are told of it. */
export const wider = [
  'test/unit/engine-events.test.ts',
  'test/unit/job-id.test.ts',
  'test/unit/policy-codec.test.ts',
  'test/conformance/sqlite.test.ts',
  'test/conformance/model.test.ts',
  'test/conformance/redis.test.ts',
  'test/conformance/newer-version.test.ts',
]

const SQLITE = ['test/conformance/sqlite.test.ts']

/** As `scripts/mutate.mjs` describes them. */
export const faults = [
  {
    what: 'a run that fails after a cancel was requested is tried again',
    file: 'server/engine/job/transitions.ts',
    find: "if (outcome.kind === 'cancelled' || job.cancelRequested) return",
    replace: "if (outcome.kind === 'cancelled') return",
    tests: SQLITE,
  },
  {
    what: 'a job may stall once more often than it is said',
    file: 'server/engine/job/transitions.ts',
    find: 'if (stalls <= job.policy.maxStalls)',
    replace: 'if (stalls <= job.policy.maxStalls + 1)',
    tests: SQLITE,
  },
  {
    what: 'a retry counts no attempt',
    file: 'server/engine/job/transitions.ts',
    find: 'attempt: job.attempt + 1',
    replace: 'attempt: job.attempt',
    tests: SQLITE,
  },
  {
    what: 'a run that stalls though a cancel was requested goes on',
    file: 'server/engine/job/transitions.ts',
    find: 'if (job.cancelRequested) return cancelledAt(job, now)\n  const stalls',
    replace: 'const stalls',
    tests: SQLITE,
  },
  {
    what: 'a cancel that is asked for again is another event',
    file: 'server/engine/job/transitions.ts',
    find: "return job.cancelRequested ? null : { word: 'cancelling' }",
    replace: "return { word: 'cancelling' }",
    tests: SQLITE,
  },
  {
    what: 'a job that completed can be retried',
    file: 'server/engine/job/events.ts',
    find: "from: ['failed', 'cancelled'],\n    to: 'queued',",
    replace: "from: ['failed', 'cancelled', 'completed'],\n    to: 'queued',",
    tests: SQLITE,
  },
  {
    what: 'a job that was retried by hand begins with the attempts it had',
    file: 'server/engine/job/events.ts',
    find: '...{ attempt: 1, stalls: 0, cancelRequested',
    replace: '...{ stalls: 0, cancelRequested',
    tests: ['test/unit/engine-events.test.ts', ...SQLITE],
  },
  {
    what: 'a claim leaves the progress of the run before',
    file: 'server/engine/job/events.ts',
    find: 'sets: { progress: null },',
    replace: 'sets: {},',
    tests: ['test/unit/engine-events.test.ts', ...SQLITE],
  },
  {
    what: 'ids of one millisecond do not ascend',
    file: 'server/engine/job/ids.ts',
    find: 'else count += 1',
    replace: 'else count = random.readUInt16LE(at / 2 + 6) % FIRST_COUNTS',
    tests: ['test/unit/job-id.test.ts'],
  },
]
