import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  Auth,
  type Caller,
  type JobAction,
  mayOnJob,
  mayOnStore,
  type Permission,
} from '../../server/auth/auth.ts'
import { createOriginPolicy } from '../../server/auth/origin.ts'
import { createReach, type Incoming } from '../../server/auth/reach.ts'

const KEYS = [
  { name: 'viewer', role: 'read', key: 'view-key' },
  { name: 'app', role: 'submit', key: 'app-key' },
  { name: 'ops', role: 'admin', key: 'ops-key' },
] as const
const auth = new Auth({ keys: KEYS, secret: 'a secret of some length', tokenTtlMs: 60_000 })
const JOB = '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11'
const OTHER = '0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b12'

async function caller(credential: string): Promise<Caller> {
  const identified = await auth.identify(credential)
  if (!identified.ok) throw new Error(`not identified: ${credential}`)
  return identified.caller
}

async function token(key: string, issuer: Auth = auth): Promise<string> {
  const issued = await issuer.issue(await caller(key), JOB)
  if (issued === null) throw new Error('no token was issued')
  return issued
}

describe('Auth', () => {
  test('without keys everyone may do everything and no tokens are made', async () => {
    const open = new Auth({ keys: [], secret: 'a secret of some length', tokenTtlMs: 60_000 })
    expect(await open.identify(undefined)).toEqual({ ok: true, caller: { kind: 'anyone' } })
    expect(await open.issue({ kind: 'anyone' }, JOB)).toBeNull()
    expect(mayOnStore({ kind: 'anyone' }, 'admin')).toBe('allowed')
  })

  test.each(KEYS)('knows the key of $name', async ({ name, role, key }) => {
    expect(await caller(key)).toEqual({ kind: 'key', name, role })
  })

  test.each([undefined, '', 'app-kez', 'app-key ', 'eyJhbGciOiJub25lIn0.e30.'])(
    'refuses %j',
    async (credential) => {
      expect(await auth.identify(credential)).toEqual({ ok: false, expired: false })
    },
  )

  test('waits for no app that never says who is calling', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const authorize = () => new Promise<null>(() => {})
    const asking = new Auth({ keys: [], secret: 'a secret of some length', tokenTtlMs: 60_000, authorize })
    const identified = asking.identify(undefined, () => new Request('http://localhost/api/jobs'))
    const refused = expect(identified).rejects.toThrow('authorize did not answer within 10000 ms')
    await vi.advanceTimersByTimeAsync(10_000)
    await refused
    expect(vi.getTimerCount()).toBe(0)
  })

  test('tells an expired token from a forged one', async () => {
    const stale = new Auth({ keys: KEYS, secret: 'a secret of some length', tokenTtlMs: -1000 })
    const foreign = new Auth({ keys: KEYS, secret: 'another secret, as long', tokenTtlMs: 60_000 })
    expect(await auth.identify(await token('app-key', stale))).toEqual({ ok: false, expired: true })
    expect(await auth.identify(await token('app-key', foreign))).toEqual({ ok: false, expired: false })
  })

  test.each<[string, Record<JobAction, Permission>]>([
    [
      'view-key',
      { read: 'allowed', issue: 'allowed', cancel: 'forbidden', retry: 'forbidden', remove: 'forbidden' },
    ],
    [
      'app-key',
      { read: 'allowed', issue: 'allowed', cancel: 'allowed', retry: 'allowed', remove: 'forbidden' },
    ],
    [
      'ops-key',
      { read: 'allowed', issue: 'allowed', cancel: 'allowed', retry: 'allowed', remove: 'allowed' },
    ],
  ])('%s on a job', async (key, permissions) => {
    const who = await caller(key)
    for (const action of Object.keys(permissions) as JobAction[]) {
      expect([action, mayOnJob(who, action, JOB)]).toEqual([action, permissions[action]])
    }
  })

  test('a token is good for its own job only, and never beyond one job', async () => {
    const who = await caller(await token('app-key'))
    expect(mayOnJob(who, 'read', JOB)).toBe('allowed')
    expect(mayOnJob(who, 'cancel', JOB)).toBe('allowed')
    expect(mayOnJob(who, 'retry', JOB)).toBe('forbidden')
    expect(mayOnJob(who, 'remove', JOB)).toBe('forbidden')
    expect(mayOnJob(who, 'read', OTHER)).toBe('not_found')
    expect(mayOnJob(who, 'cancel', OTHER)).toBe('not_found')
    expect(mayOnStore(who, 'read')).toBe('forbidden')
  })

  test('the token of a read key, and one renewed from it, only watches', async () => {
    const watcher = await caller(await token('view-key'))
    expect(mayOnJob(watcher, 'cancel', JOB)).toBe('forbidden')
    const renewed = await auth.issue(watcher, JOB)
    expect(await caller(renewed ?? '')).toMatchObject({ kind: 'token', rights: 'watch' })
  })

  test('roles include the ones before them', async () => {
    expect(mayOnStore(await caller('view-key'), 'read')).toBe('allowed')
    expect(mayOnStore(await caller('view-key'), 'submit')).toBe('forbidden')
    expect(mayOnStore(await caller('app-key'), 'submit')).toBe('allowed')
    expect(mayOnStore(await caller('app-key'), 'admin')).toBe('forbidden')
    expect(mayOnStore(await caller('ops-key'), 'admin')).toBe('allowed')
  })
})

describe('OriginPolicy', () => {
  const reach = createReach({ basePath: '', trustProxy: ['loopback'] })
  const open = createOriginPolicy({ allowedOrigins: ['https://app.example'], keysRequired: false, reach })
  const keyed = createOriginPolicy({ allowedOrigins: [], keysRequired: true, reach })
  const from =
    (remoteAddress: string) =>
    (headers: Incoming['headers']): Incoming => ({ headers, socket: { remoteAddress } })
  const fromHere = from('127.0.0.1')

  test.each([
    [undefined, 'localhost:3000', true],
    ['http://localhost:3000', 'localhost:3000', true],
    ['https://app.example', 'localhost:3000', true],
    ['https://app.example.evil', 'localhost:3000', false],
    ['http://localhost:3001', 'localhost:3000', false],
    ['null', 'localhost:3000', false],
    ['', 'localhost:3000', false],
    ['http://localhost:3000', undefined, false],
    ['http://undefined', undefined, false],
    ['http://localhost:3000, http://localhost:3000', 'localhost:3000', false],
    ['http://evil.example@localhost:3000', 'localhost:3000', false],
    ['http://localhost:3000', 'evil.example@localhost:3000', false],
    ['http://localhost:3000', 'localhost:3000/evil', false],
    ['https://app.example:444', 'localhost:3000', false],
    ['http://app.example', 'localhost:3000', false],
  ])('origin %j to host %j: %j', (origin, host, allowed) => {
    expect(open.allowsOrigin(origin, host)).toBe(allowed)
  })

  test.each([
    ['https://jobs.example', 'jobs.example:443'],
    ['https://jobs.example', 'jobs.example:80'],
    ['http://jobs.example', 'jobs.example:80'],
    ['http://jobs.example:80', 'jobs.example'],
    ['https://jobs.example.', 'jobs.example'],
    ['https://jobs.example', 'jobs.example.:443'],
    ['https://jobs.example', 'Jobs.EXAMPLE'],
    ['HTTPS://JOBS.example', 'jobs.example'],
    ['http://[::1]:3000', '[0:0:0:0:0:0:0:1]:3000'],
    ['https://[2001:db8::1]', '[2001:0DB8:0::0001]:443'],
    ['http://127.0.0.1:3000', '127.1:3000'],
    ['https://b\u00fccher.example', 'xn--bcher-kva.example'],
    ['https://app.example.', 'elsewhere.example'],
    ['https://app.example:443', 'elsewhere.example'],
    ['https://APP.example', 'elsewhere.example'],
  ])('origin %j to host %j means the same', (origin, host) => {
    expect(open.allowsOrigin(origin, host)).toBe(true)
  })

  test('an origin of an app may be allowed in whatever way it is spelled', () => {
    const policy = createOriginPolicy({
      allowedOrigins: ['HTTPS://App.example:443', 'capacitor://localhost'],
      keysRequired: true,
      reach,
    })
    expect(policy.allowsOrigin('https://app.example', 'jobs.example')).toBe(true)
    expect(policy.allowsOrigin('capacitor://localhost', 'jobs.example')).toBe(true)
    expect(policy.allowsOrigin('tauri://localhost', 'localhost')).toBe(false)
  })

  test.each([
    ['http://localhost:5173', true],
    ['http://localhost', true],
    ['https://localhost:5173', false],
    ['http://localhost.evil.example:5173', false],
    ['http://127.0.0.1:5173', false],
    ['http://[::1]:8080', true],
    ['null', false],
  ])('where any port of a host is allowed, %j is: %s', (origin, isAllowed) => {
    const allowedOrigins = ['HTTP://localhost:*', 'http://[::1]:*']
    const policy = createOriginPolicy({ allowedOrigins, keysRequired: true, reach })
    expect(policy.allowsOrigin(origin, 'jobs.example')).toBe(isAllowed)
  })

  test.each([
    ['localhost:3000', true],
    ['127.0.0.1:3000', true],
    ['127.0.0.1', true],
    ['127.1', true],
    ['[::1]:3000', true],
    ['[0:0:0:0:0:0:0:1]:3000', true],
    ['[::ffff:127.0.0.1]:3000', true],
    ['LOCALHOST', true],
    ['localhost.:3000', true],
    ['localhost:443', true],
    ['evil.example', false],
    ['127.0.0.1.evil.example', false],
    ['evil.example@localhost', false],
    ['localhost:3000/evil', false],
    ['localhost,evil.example', false],
    ['[::ffff:192.168.0.1]', false],
    ['0.0.0.0', false],
    [undefined, false],
    ['', false],
  ])('host %j without keys: %j', (host, allowed) => {
    expect(open.refusal(fromHere({ host }), true) === null).toBe(allowed)
    expect(keyed.refusal(fromHere({ host }), true)).toBeNull()
  })

  describe('behind a proxy that changes Host and keeps Origin', () => {
    const host = '127.0.0.1:3000'
    const origin = 'http://localhost:5173'
    const allows = (headers: Record<string, string>, which = fromHere) =>
      open.refusal(which(headers), false) === null

    test.each([
      ['a page of its own', { 'sec-fetch-site': 'same-origin' }, true],
      ['the address bar, an extension', { 'sec-fetch-site': 'none' }, true],
      ['a page of another port', { 'sec-fetch-site': 'same-site' }, false],
      ['a page from elsewhere', { 'sec-fetch-site': 'cross-site' }, false],
      ['two words', { 'sec-fetch-site': 'same-origin, cross-site' }, false],
      ['no word', {}, false],
      ['the name is forwarded', { 'x-forwarded-host': 'localhost:5173' }, true],
      ['through two proxies', { 'x-forwarded-host': 'localhost:5173, inner:80' }, true],
      ['another name is forwarded', { 'x-forwarded-host': 'localhost:8080' }, false],
      ['the port is forwarded', { 'x-forwarded-port': '5173' }, true],
      ['another port is forwarded', { 'x-forwarded-port': '8080' }, false],
      ['a port of a foreign name', { 'x-forwarded-port': '5173', origin: 'http://evil.example:5173' }, false],
      ['no origin at all', { 'x-forwarded-host': '', origin: 'null' }, false],
    ])('%s', (_name, headers, allowed) => {
      expect(allows({ host, origin, ...headers })).toBe(allowed)
    })

    test('a foreign name that is pointed here is not answered, whatever else comes along', () => {
      const evil = { host: 'evil.example:3000', origin: 'http://evil.example:3000' }
      expect(allows({ ...evil, 'sec-fetch-site': 'same-origin' })).toBe(false)
      // The proxy of a developer changes the name to ours, but says under which it was called itself.
      const pointedAtProxy = {
        host,
        origin: 'http://evil.example:5173',
        'x-forwarded-host': 'evil.example:5173',
      }
      expect(allows(pointedAtProxy)).toBe(false)
      expect(keyed.refusal(fromHere(pointedAtProxy), false)).toBeNull()
    })
  })

  describe('of a proxy that is not trusted', () => {
    const behind = {
      host: 'jobcast:3000',
      origin: 'https://app.example:8443',
      'x-forwarded-host': 'app.example:8443',
    }
    test('a forwarded name counts for nothing, and the remedy is to trust it', () => {
      expect(keyed.refusal(from('::1')(behind), false)).toBeNull()
      const refused = keyed.refusal(from('172.18.0.3')(behind), false)
      expect(refused?.remedy).toMatch(/^JOBCAST_TRUST_PROXY=172\.18\.0\.3, where that is a proxy/)
      expect(refused?.remedy).toContain('JOBCAST_ALLOWED_ORIGINS=https://app.example:8443')
    })
  })

  describe('of what a page or a name elsewhere may try', () => {
    const host = 'localhost:3000'
    test.each<[string, Record<string, string>]>([
      ['a container by its name', { host: 'jobcast:3000' }],
      ['a name that was pointed here', { host: 'evil.example', 'sec-fetch-site': 'none' }],
      [
        'the same, as if a proxy had been asked for localhost',
        { host: 'evil.example', origin: 'http://evil.example', 'x-forwarded-host': 'localhost' },
      ],
      ['a frame without an origin', { host, origin: 'null', 'sec-fetch-site': 'cross-site' }],
      ['a file', { host, origin: 'file://' }],
      ['a page elsewhere', { host, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
      ['a browser too old to say more', { host, origin: 'https://evil.example' }],
      ['an address in the network', { host, origin: 'http://192.168.1.66' }],
      [
        'the same through the proxy of a developer',
        { host, origin: 'http://192.168.1.66', 'x-forwarded-host': 'localhost:5173' },
      ],
      [
        'a name whose beginning is an address',
        { host, origin: 'http://192.168.1.5.evil.example', 'x-forwarded-host': '192.168.1.5.evil.example' },
      ],
      ['another port', { host, origin: 'http://localhost:4000', 'sec-fetch-site': 'same-site' }],
      ['both spellings of this machine', { host: '127.0.0.1:3000', origin: 'http://localhost:3000' }],
    ])('%s is refused', (_name, headers) => {
      expect(open.refusal(fromHere(headers), false)).not.toBeNull()
    })

    test('a telephone may look at the page of a developer by the address of the machine', () => {
      const origin = 'http://192.168.1.5:3000'
      const headers = { host, origin, 'x-forwarded-host': '192.168.1.5:3000' }
      expect(open.refusal(fromHere(headers), false)).toBeNull()
    })
  })

  test('a refusal says what would let the page in, beside what is allowed already', () => {
    const remedy = (origin: string) =>
      open.refusal(fromHere({ host: 'localhost:3000', origin }), false)?.remedy
    expect(remedy('https://other.example')).toBe(
      'JOBCAST_ALLOWED_ORIGINS=https://app.example,https://other.example',
    )
    expect(remedy('http://localhost:5173')).toBe(
      'JOBCAST_ALLOWED_ORIGINS=https://app.example,http://localhost:5173, or a proxy that leaves Host as it is',
    )
    expect(remedy('null')).toMatch(/^none: /)
    expect(open.refusal(fromHere({ host: 'jobs.example' }), true)?.remedy).toMatch(/^JOBCAST_API_KEYS/)
    const embedded = createOriginPolicy({ allowedOrigins: [], keysRequired: false, reach, embedded: true })
    const refused = embedded.refusal(fromHere({ host: 'localhost:3000', origin: 'https://a.example' }), false)
    expect(refused).toEqual({
      detail: 'pages of this origin may not call this server: see allowedOrigins',
      remedy: "allowedOrigins: ['https://a.example']",
    })
    expect(embedded.refusal(fromHere({ host: 'a.example' }), true)?.remedy).toMatch(/^apiKeys or authorize,/)
  })
})
