/** The embedded engine: transactions, lines, leases, history, the feed. */
export const wider = [
  'test/conformance/sqlite.test.ts',
  'test/conformance/sqlite-failed-writes.test.ts',
  'test/unit/sqlite-engine.test.ts',
  'test/conformance/model.test.ts',
  'test/conformance/newer-version.test.ts',
]

const CASES = ['test/conformance/sqlite.test.ts']
const FAILED = ['test/conformance/sqlite-failed-writes.test.ts']

/** As `scripts/mutate.mjs` describes them. */
export const faults = [
  {
    what: 'what a first transaction that failed has reserved is not given back',
    file: 'server/engine/sqlite/transaction.ts',
    find: 'this.undo(this.store.saveNumbers())',
    replace: 'this.store.saveNumbers()',
    tests: FAILED,
  },
  {
    what: 'counts of a type stay changed where a transaction fails',
    file: 'server/engine/sqlite/transaction.ts',
    find: 'this.undo(catalog.keptCounts(type))',
    replace: '',
    tests: FAILED,
  },
  {
    what: 'a claim that failed is answered again as if it had not',
    file: 'server/engine/sqlite/claim.ts',
    find: 'tx.undo(() => this.#recent.delete(claimId))',
    replace: '',
    tests: FAILED,
  },
  {
    what: 'a claim that is sent again claims other jobs',
    file: 'server/engine/sqlite/claim.ts',
    find: 'if (before !== undefined) return before.jobs.flatMap((jobId) => again(tx, jobId, before))',
    replace: '',
    tests: CASES,
  },
  {
    what: 'a claim that is sent again brings a job whose lease is lost',
    file: 'server/engine/sqlite/claim.ts',
    find: 'return row?.run?.lease.startsWith(token) === true ?',
    replace: 'return row !== null ?',
    tests: CASES,
  },
  {
    what: 'types take no turns',
    file: 'server/engine/sqlite/claim.ts',
    find: "this.#lastType = rows.at(-1)?.type ?? ''",
    replace: '',
    tests: CASES,
  },
  {
    what: 'whoever knows a job may settle it',
    file: 'server/engine/sqlite/verbs.ts',
    find: 'return row?.run?.lease === lease ? { row, run: row.run } : null',
    replace: 'return row?.run != null ? { row, run: row.run } : null',
    tests: CASES,
  },
  {
    what: 'a settlement whose answer was lost is stale when it comes again',
    file: 'server/engine/sqlite/verbs.ts',
    find: "return row.settledLease === lease && row.settledAs !== null ? row.settledAs : 'stale'",
    replace: "return 'stale'",
    tests: CASES,
  },
  {
    what: 'a report that is sent again is stored twice',
    file: 'server/engine/sqlite/transaction.ts',
    find: 'if (event.n !== undefined && event.n <= reported) continue',
    replace: '',
    tests: CASES,
  },
  {
    what: 'leases never run out',
    file: 'server/engine/sqlite/transaction.ts',
    find: 'run.leasedUntil <= this.monotonicNow',
    replace: 'run.leasedUntil < 0',
    tests: CASES,
  },
  {
    what: 'jobs of one line are taken in no order of priority',
    file: 'server/engine/sqlite/claim.ts',
    find: 'WHERE queue.kind = ? ORDER BY priority DESC, place LIMIT ?',
    replace: 'WHERE queue.kind = ? ORDER BY priority ASC, place LIMIT ?',
    tests: CASES,
  },
  {
    what: 'a job that was cancelled in line is claimed',
    file: 'server/engine/sqlite/transaction.ts',
    find: "if (from === 'queued') {",
    replace: 'if (from === null) {',
    tests: CASES,
  },
  {
    what: 'output is kept without end',
    file: 'server/engine/sqlite/transaction.ts',
    find: 'if (row.outputs > RETAINED_EVENTS || row.outputBytes > RETAINED_BYTES) this.#trimOutput(row)',
    replace: '',
    tests: CASES,
  },
  {
    what: 'what a forgotten job has reported stays in the file',
    file: 'server/engine/sqlite/transaction.ts',
    find: "if (row.outputs > 0) tables.push('output')",
    replace: '',
    tests: CASES,
  },
  {
    what: 'the file is written though it was removed or replaced',
    file: 'server/engine/sqlite/writer.ts',
    find: 'this.#store.assertInPlace()',
    replace: '',
    tests: ['test/unit/sqlite-engine.test.ts'],
  },
  {
    what: 'one verb that cannot be stored spoils all that were called with it',
    file: 'server/engine/sqlite/writer.ts',
    find: 'return group.length === 1 ? this.#refuse(group, error) : this.#oneByOne(group)',
    replace: 'return this.#refuse(group, error)',
    tests: ['test/unit/sqlite-engine.test.ts'],
  },
  {
    what: 'callers are answered before the disk has what they wrote',
    file: 'server/engine/sqlite/store.ts',
    find: 'PRAGMA synchronous = FULL;',
    replace: 'PRAGMA synchronous = OFF;',
    tests: ['test/unit/sqlite-engine.test.ts'],
    survives:
      'it shows only where the machine itself loses power: a killed process leaves what it wrote to the system',
  },
  {
    what: 'an idempotency key that was used with another body is answered with the first job',
    file: 'server/engine/sqlite/verbs.ts',
    find: 'if (known[0] !== JSON.stringify(bodyHash)) {',
    replace: 'if (known[0] === null) {',
    tests: CASES,
  },
  {
    what: 'runs of a process that is gone are left as they are',
    file: 'server/engine/sqlite/verbs.ts',
    find: 'filter(({ run }) => run === null).slice(0, limit)',
    replace: 'filter(() => false).slice(0, limit)',
    tests: CASES,
  },
]
