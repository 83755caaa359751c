import { describe, expect, test } from 'vitest'
import { parseInfo, parseRedisAddress, warningsOf } from '../../server/engine/redis/server.ts'

describe('an address of Redis', () => {
  test.each([
    ['redis://localhost', 'localhost:6379'],
    ['rediss://me:word@redis.example:7000/15', 'redis.example:7000'],
    ['redis://[::1]:6380', '[::1]:6380'],
  ])('%s is a server', (text, name) => {
    expect(parseRedisAddress(text)).toEqual({ kind: 'server', url: text, name })
  })

  test('names sentinels, the master, and who asks', () => {
    expect(parseRedisAddress('redis+sentinel://me:p%40ss@one,[::1]:7000,10.0.0.3:26380/my-jobs/4')).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: 'one', port: 26379 },
        { host: '::1', port: 7000 },
        { host: '10.0.0.3', port: 26380 },
      ],
      master: 'my-jobs',
      username: 'me',
      password: 'p@ss',
      database: 4,
      tls: false,
      name: 'master my-jobs of the sentinels one,[::1]:7000,10.0.0.3:26380',
    })
    expect(parseRedisAddress('rediss+sentinel://:word@one/jobs')).toMatchObject({
      username: undefined,
      password: 'word',
      database: 0,
      tls: true,
    })
  })

  test.each([
    'http://localhost',
    'redis://',
    'redis://localhost/0?keyPrefix=x',
    'redis+sentinel://one:26379',
    'redis+sentinel://one:26379/',
    'redis+sentinel:///jobs',
    'redis+sentinel://one:0/jobs',
    'redis+sentinel://one:65536/jobs',
    'redis+sentinel://one,,two/jobs',
    'redis+sentinel://one two/jobs',
    'redis+sentinel://one/jobs/abc',
    'redis+sentinel://one/jobs?role=slave',
    'redis+sentinel://%zz@one/jobs',
  ])('%s is none', (text) => {
    expect(parseRedisAddress(text)).toBeNull()
  })
})

describe('what is at risk with a server', () => {
  const warnings = (...lines: string[]) => warningsOf(parseInfo(lines.join('\r\n')))

  test('without an append-only file', () => {
    expect(warnings('aof_enabled:0')).toEqual([expect.stringMatching(/append-only file.*set appendonly yes/)])
    expect(warnings('aof_enabled:1')).toEqual([])
  })

  test('with replicas that it does not insist on', () => {
    expect(warnings('connected_slaves:1')).toEqual([expect.stringContaining('min-replicas-to-write 1')])
    expect(warnings('connected_slaves:1', 'min_slaves_good_slaves:1')).toEqual([])
    expect(warnings('connected_slaves:0')).toEqual([])
  })
})
