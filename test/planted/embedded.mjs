/** A server within a program: what starts and ends it, whom it lets in, and what it leaves alone. */
export const wider = [
  'test/integration/embedded-hosts.test.ts',
  'test/integration/embedded-life.test.ts',
  'test/unit/config.test.ts',
]

const HOSTS = ['test/integration/embedded-hosts.test.ts']
const LIFE = ['test/integration/embedded-life.test.ts']

export const faults = [
  {
    what: 'whatever authorize returns by mistake lets its caller in',
    file: 'server/auth/auth.ts',
    find: "if (!ROLES.includes(role) || typeof name !== 'string') {",
    replace: 'if (false) {',
    tests: LIFE,
  },
  {
    what: 'authorize is asked by whoever has a token of the server',
    file: 'server/auth/auth.ts',
    find: 'if (identified.ok || identified.expired || this.#authorize === null || request === undefined)',
    replace: 'if (this.#authorize === null || request === undefined)',
    tests: LIFE,
  },
  {
    what: 'authorize has no say about WebSockets',
    file: 'server/gateway/transports/websocket/upgrade.ts',
    find: 'const asked = isNamed ? undefined : () => requestOf(request, rules.reach)',
    replace: 'const asked = undefined',
    tests: LIFE,
  },
  {
    what: 'users of a program share their idempotency keys',
    file: 'server/http/submit.ts',
    find: "return caller.kind === 'user' ?",
    replace: 'return false ?',
    tests: LIFE,
  },
  {
    what: 'a call that comes late brings back a server that was stopped',
    file: 'server/job-server.ts',
    find: "this.#state.is === 'stopped' ? Promise.reject(new Stopped()) : this.started(beginning)",
    replace: 'this.started(beginning)',
    tests: LIFE,
  },
  {
    what: 'a server that is stopped while it starts goes on',
    file: 'server/job-server.ts',
    find: "if (this.#state.is === 'starting') await this.#state.started.catch(() => {})",
    replace: '',
    tests: LIFE,
  },
  {
    what: 'a server that begins to listen puts its own classes in place of the global ones',
    file: 'server/http/server.ts',
    find: 'overrideGlobalObjects: false, ',
    replace: '',
    tests: HOSTS,
  },
  {
    what: 'fetch answers with a response that no runtime knows',
    file: 'server/http/server.ts',
    find: 'return answer instanceof Answer ? answer.toResponse() : answer',
    replace: 'return answer',
    tests: HOSTS,
  },
  {
    what: 'a program gets no request back that is none of the server',
    file: 'server/http/server.ts',
    find: 'if (next !== undefined && !isOurs(new NodeArrival(incoming, outgoing, reach))) {',
    replace: 'if (false) {',
    tests: HOSTS,
  },
  {
    what: 'a body that another parser has read is taken for none',
    file: 'server/http/arrival.ts',
    find: 'if (incoming.readableEnded) return parsedElsewhere(incoming.body, limit)',
    replace: 'if (incoming.readableEnded) return Buffer.alloc(0)',
    tests: HOSTS,
  },
  {
    what: 'a body without a length has no bounds in fetch',
    file: 'server/http/arrival.ts',
    find: 'if (size > limit) giveUp(tooLarge(limit))\n      else chunks',
    replace: 'chunks',
    tests: HOSTS,
  },
  {
    what: 'every start measures Node anew',
    file: 'server/metrics.ts',
    find: 'measuring ??= measureNode()',
    replace: 'measuring = measureNode()',
    tests: LIFE,
    built: true,
  },
  {
    what: 'a producer that waits for nothing keeps its process alive',
    file: 'server/engine/redis/connection.ts',
    find: 'if (this.#options.address.isBackground && pending.size === 0) redis.stream.unref()',
    replace: 'if (pending.size < 0) redis.stream.unref()',
    tests: LIFE,
    built: true,
  },
  {
    what: 'an option that nobody knows is passed over',
    file: 'server/config.ts',
    find: 'if (names.some((known) => known === name)) continue',
    replace: 'continue',
    tests: LIFE,
  },
]
