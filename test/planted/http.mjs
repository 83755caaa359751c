/** Who may call what over HTTP, and what a call may bring. */
export const wider = [
  'test/unit/auth.test.ts',
  'test/unit/http-parts.test.ts',
  'test/unit/http-submission.test.ts',
  'test/integration/http-access.test.ts',
  'test/integration/http-idempotency.test.ts',
  'test/integration/http-jobs.test.ts',
  'test/integration/http-submit.test.ts',
  'test/integration/http-operation.test.ts',
  'test/integration/http-openapi.test.ts',
]

const ACCESS = ['test/unit/auth.test.ts', 'test/integration/http-access.test.ts']

/** As `scripts/mutate.mjs` describes them. */
export const faults = [
  {
    what: 'a route asks nobody who they are',
    file: 'server/http/access.ts',
    find: "if (access === 'open') return ANYONE",
    replace: 'return ANYONE',
    tests: ACCESS,
  },
  {
    what: 'a key of too low a role is let through',
    file: 'server/http/access.ts',
    find: "if (permission === 'forbidden') throw",
    replace: "if (permission === 'none') throw",
    tests: ACCESS,
  },
  {
    what: 'a token of one job is good for any other',
    file: 'server/auth/auth.ts',
    find: "if (caller.jobId !== jobId) return 'not_found'",
    replace: '',
    tests: ACCESS,
  },
  {
    what: 'a token that may only watch cancels',
    file: 'server/auth/auth.ts',
    find: "return action === 'cancel' && caller.rights === 'control' ? 'allowed' : 'forbidden'",
    replace: "return action === 'cancel' ? 'allowed' : 'forbidden'",
    tests: ACCESS,
  },
  {
    what: 'a reading key gets tokens that may cancel',
    file: 'server/auth/auth.ts',
    find: "caller.kind === 'key' && caller.role === 'read' ? 'watch' : 'control'",
    replace: "'control'",
    tests: ACCESS,
  },
  {
    what: 'a job is removed with a key that may only submit',
    file: 'server/auth/auth.ts',
    find: "action === 'remove' ? 'admin' : 'submit'",
    replace: "'submit'",
    tests: ACCESS,
  },
  {
    what: 'the credential of a call that may carry it in its query is taken from that of any other',
    file: 'server/http/access.ts',
    find: 'if (bearer !== undefined || !route.tokenInQuery) return bearer',
    replace: 'if (bearer !== undefined) return bearer',
    tests: ACCESS,
  },
  {
    what: 'a page of any origin may submit',
    file: 'server/auth/origin.ts',
    find: 'if (reads || origin === undefined) return null',
    replace: 'return null',
    tests: ['test/integration/http-access.test.ts'],
  },
  {
    what: 'a foreign name that is pointed at a server without keys is answered',
    file: 'server/auth/origin.ts',
    find: 'if (!allowsHost(host)) {',
    replace: 'if (host === null) {',
    tests: ['test/integration/http-access.test.ts'],
  },
  {
    what: "an idempotency key is everybody's",
    file: 'server/http/submit.ts',
    find: "scope: caller.kind === 'key' ? caller.name : ''",
    replace: "scope: ''",
    tests: ['test/integration/http-idempotency.test.ts'],
  },
  {
    what: 'a query parameter that nobody knows is passed over',
    file: 'server/http/route.ts',
    find: 'if (!read.ok) throw invalidQuery(read.errors)\n  return read.value',
    replace: 'return read.ok ? read.value : {}',
    tests: ['test/integration/http-jobs.test.ts'],
  },
]
