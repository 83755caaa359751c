import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../server/config.ts'

describe('readConfig', () => {
  test('serves the embedded engine on loopback where nothing is set', () => {
    expect(readConfig({})).toEqual({
      named: expect.any(Function),
      embedded: false,
      authorize: null,
      dashboard: true,
      port: 3000,
      portGiven: false,
      host: '127.0.0.1',
      store: { kind: 'sqlite', folder: '.data' },
      role: 'all',
      maxBytes: 8_388_608,
      jobsFiles: [],
      defaultType: null,
      concurrency: 10,
      leaseMs: 15_000,
      drainMs: 10_000,
      hungExitMs: null,
      retainMs: 86_400_000,
      cancelGraceMs: 5000,
      apiKeys: [],
      tokenTtlMs: 604_800_000,
      tokenSecret: null,
      allowedOrigins: [],
      allowedHeaders: [
        'Cache-Control',
        'Pragma',
        'X-Requested-With',
        'X-Request-ID',
        'traceparent',
        'tracestate',
        'baggage',
        'sentry-trace',
      ],
      basePath: '',
      trustProxy: ['loopback'],
      logLevel: 'info',
    })
  })

  test('an empty variable counts as unset', () => {
    expect(readConfig({ PORT: '', REDIS_URL: '' })).toEqual(readConfig({}))
  })

  test('REDIS_URL chooses the Redis engine', () => {
    expect(readConfig({ REDIS_URL: 'rediss://me:word@localhost/7' }).store).toMatchObject({ kind: 'redis' })
    expect(readConfig({ REDIS_URL: 'redis://localhost:6379', JOBCAST_PREFIX: 'mine' }).store).toEqual({
      kind: 'redis',
      url: 'redis://localhost:6379',
      prefix: 'mine',
    })
  })

  test('reads API keys with their roles; a key may hold colons', () => {
    expect(readConfig({ JOBCAST_API_KEYS: 'ci:submit:s3cret, ops:admin:a:b' }).apiKeys).toEqual([
      { name: 'ci', role: 'submit', key: 's3cret' },
      { name: 'ops', role: 'admin', key: 'a:b' },
    ])
  })

  test('reads origins and headers of pages', () => {
    expect(
      readConfig({
        JOBCAST_ALLOWED_ORIGINS: 'https://app.example, capacitor://localhost, http://localhost:*',
        JOBCAST_ALLOWED_HEADERS: 'x-tenant, *',
      }),
    ).toMatchObject({
      allowedOrigins: ['https://app.example', 'capacitor://localhost', 'http://localhost:*'],
      allowedHeaders: ['x-tenant', '*'],
    })
  })

  test('reads where it lies, and whose word on that counts', () => {
    expect(readConfig({ JOBCAST_BASE_PATH: '/tools/jobs/' }).basePath).toBe('/tools/jobs')
    expect(readConfig({ JOBCAST_BASE_PATH: '/' }).basePath).toBe('')
    const trusted = (text: string) => readConfig({ JOBCAST_TRUST_PROXY: text }).trustProxy
    expect(trusted('true')).toBe(true)
    expect(trusted('false')).toBe(false)
    expect(trusted('loopback, 10.0.0.0/8,::1')).toEqual(['loopback', '10.0.0.0/8', '::1'])
  })

  test.each([
    [{ PORT: 'abc' }, /^PORT must be a whole number from 0 to 65535$/],
    [{ PORT: '65536' }, /^PORT /],
    [{ PORT: '1e3' }, /^PORT /],
    [{ JOBCAST_ROLE: 'boss' }, /^JOBCAST_ROLE must be one of all, api, worker$/],
    [{ JOBCAST_ROLE: 'worker' }, /^JOBCAST_ROLE worker needs REDIS_URL/],
    [{ REDIS_URL: 'http://user:hunter2@localhost' }, /^REDIS_URL must be an address/],
    [{ REDIS_URL: 'redis://:hunter2@localhost/abc' }, /^REDIS_URL must be an address/],
    [{ REDIS_URL: 'redis://localhost/1/2' }, /^REDIS_URL must be an address/],
    [{ REDIS_URL: 'redis://localhost?db=3' }, /^REDIS_URL must be an address/],
    [{ JOBCAST_LEASE_MS: '999' }, /^JOBCAST_LEASE_MS must be a whole number from 1000/],
    [{ JOBCAST_API_KEYS: 'ci:hunter2' }, /^JOBCAST_API_KEYS every entry must be name:role:key/],
    [{ JOBCAST_API_KEYS: 'ci:boss:hunter2' }, /^JOBCAST_API_KEYS /],
    [{ JOBCAST_API_KEYS: 'a:read:hunter2,b:read:hunter2' }, /^JOBCAST_API_KEYS /],
    [{ JOBCAST_API_KEYS: 'a:read:hunter2,a:admin:other' }, /^JOBCAST_API_KEYS /],
    [{ JOBCAST_TOKEN_SECRET: 'hunter2' }, /^JOBCAST_TOKEN_SECRET must have at least 16 characters$/],
    [{ JOBCAST_ALLOWED_ORIGINS: 'https://example.com/path' }, /^JOBCAST_ALLOWED_ORIGINS every entry/],
    [{ JOBCAST_ALLOWED_ORIGINS: 'null' }, /^JOBCAST_ALLOWED_ORIGINS every entry/],
    [{ JOBCAST_ALLOWED_ORIGINS: 'https://*' }, /^JOBCAST_ALLOWED_ORIGINS every entry/],
    [{ JOBCAST_ALLOWED_ORIGINS: 'https://*:*' }, /^JOBCAST_ALLOWED_ORIGINS every entry/],
    [{ JOBCAST_ALLOWED_HEADERS: 'x-tenant, not one' }, /^JOBCAST_ALLOWED_HEADERS every entry/],
    [{ JOBCAST_ALLOWED_HEADERS: 'x-tenant: acme' }, /^JOBCAST_ALLOWED_HEADERS every entry/],
    [{ JOBCAST_DEFAULT_TYPE: 'No' }, /^JOBCAST_DEFAULT_TYPE must match/],
    [{ JOBCAST_BASE_PATH: 'jobs' }, /^JOBCAST_BASE_PATH must be a path such as \/jobs/],
    [{ JOBCAST_BASE_PATH: '/a/../b' }, /^JOBCAST_BASE_PATH /],
    [{ JOBCAST_TRUST_PROXY: '1' }, /^JOBCAST_TRUST_PROXY must be true, false, or addresses and networks/],
    [{ JOBCAST_TRUST_PROXY: 'loopback,10.0.0.0/40' }, /^JOBCAST_TRUST_PROXY /],
    [{ JOBCAST_LOG: 'loud' }, /^JOBCAST_LOG must be one of/],
    [{ JOBCAST_PREFIX: '{x}' }, /^JOBCAST_PREFIX /],
    [{ HOST: '0.0.0.0' }, /^HOST 0\.0\.0\.0 is reachable from other machines: set JOBCAST_API_KEYS/],
    [{ HOST: '::' }, /^HOST :: is reachable/],
  ])('%j is refused in one line that names the variable and shows no secret', (environment, message) => {
    let refusal: unknown
    try {
      readConfig(environment)
    } catch (error) {
      refusal = error
    }
    expect(refusal).toBeInstanceOf(ConfigError)
    expect((refusal as ConfigError).message).toMatch(message)
    expect((refusal as ConfigError).message).not.toMatch(/hunter2|\n/)
  })

  test('beyond loopback is fine with API keys, and for a worker, which serves no API', () => {
    expect(readConfig({ HOST: '0.0.0.0', JOBCAST_API_KEYS: 'a:admin:k' }).host).toBe('0.0.0.0')
    expect(readConfig({ HOST: '0.0.0.0', JOBCAST_ROLE: 'worker', REDIS_URL: 'redis://localhost' }).role).toBe(
      'worker',
    )
  })
})
