import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { requestOf } from '../../server/auth/auth.ts'
import { createReach, isTrustable, normalPath, type TrustProxy } from '../../server/auth/reach.ts'

const at = (basePath: string, trustProxy: TrustProxy = ['loopback']) => createReach({ basePath, trustProxy })
const request = (headers: Record<string, string>, remoteAddress: string | undefined = '127.0.0.1') => ({
  headers,
  socket: { remoteAddress },
})

describe('below a base path', () => {
  test.each([
    ['', '/api/jobs?x', '/api/jobs?x'],
    ['/jobs', '/jobs/api/jobs?x=/y', '/api/jobs?x=/y'],
    ['/jobs', '/jobs/', '/'],
    ['/jobs', '/jobs', '/'],
    ['/jobs', '/jobs?x', '/?x'],
    ['/jobs', '/jobs/jobs', '/jobs'],
    ['/jobs', '/jobsx', null],
    ['/jobs', '/api/jobs', null],
    ['/jobs', '/JOBS/api', null],
    ['/jobs', '/', null],
    ['/a/b', '/a/b/ws', '/ws'],
    ['/a/b', '/a', null],
  ])('%j: %j is %j', (basePath, path, below) => {
    expect(at(basePath).below(path)).toBe(below)
  })

  test.each([
    ['/jobs', '/jobs'],
    ['/jobs/', '/jobs'],
    ['/', ''],
    ['', ''],
    ['/a.b/c-d_e~f', '/a.b/c-d_e~f'],
    ['jobs', null],
    ['//evil.example', null],
    ['/a//b', null],
    ['/a/../b', null],
    ['/./a', null],
    ['/a"><script>', null],
    ['/a b', null],
    ['/a?b', null],
    ['/a\\b', null],
    ['https://evil.example/a', null],
  ])('the path %j is written %j', (text, path) => {
    expect(normalPath(text)).toBe(path)
  })
})

describe('what proxies say', () => {
  test.each([
    ['took a path off', '', { 'x-forwarded-prefix': '/tools' }, '/tools'],
    ['with a slash at its end', '', { 'x-forwarded-prefix': '/tools/' }, '/tools'],
    ['took nothing off', '', { 'x-forwarded-prefix': '/' }, ''],
    ['took a path off before the base path', '/jobs', { 'x-forwarded-prefix': '/tools' }, '/tools/jobs'],
    ['named the base path, and left it', '/jobs', { 'x-forwarded-prefix': '/jobs' }, '/jobs'],
    ['each took one off', '', { 'x-forwarded-prefix': '/outer, /inner' }, '/outer/inner'],
    ['said another host', '', { 'x-forwarded-prefix': '//evil.example' }, ''],
    ['said what is no path', '', { 'x-forwarded-prefix': '/a"onload="x' }, ''],
    ['said one of both', '', { 'x-forwarded-prefix': '/a, javascript:x' }, ''],
    ['said nothing', '/jobs', {}, '/jobs'],
  ])('%s', (_what, basePath, headers, prefix) => {
    expect(at(basePath).prefix(request(headers))).toBe(prefix)
  })

  test.each([
    ['/app', {}, '/app/jobs'],
    ['/app', { 'x-forwarded-prefix': '/tools' }, '/tools/app/jobs'],
    ['/app', { 'x-forwarded-prefix': '/app/jobs' }, '/app/jobs'],
    ['/"><script>', {}, '/jobs'],
    ['//evil.example', {}, '/jobs'],
  ])('of what a program has mounted at %j', (mount, headers, prefix) => {
    expect(at('/jobs').prefix({ ...request(headers), mount })).toBe(prefix)
  })

  test.each<[TrustProxy, string | undefined, boolean]>([
    [['loopback'], '127.0.0.1', true],
    [['loopback'], '::1', true],
    [['loopback'], '::ffff:127.0.0.1', true],
    [['loopback'], '10.0.0.1', false],
    [['loopback'], '127.0.0.1.evil.example', false],
    [['loopback'], undefined, false],
    [['uniquelocal'], '172.18.0.3', true],
    [['uniquelocal'], '::ffff:192.168.1.9', true],
    [['uniquelocal'], '172.32.0.1', false],
    [['linklocal'], 'fe80::1', true],
    [['203.0.113.7'], '203.0.113.7', true],
    [['203.0.113.7'], '203.0.113.8', false],
    [['203.0.113.0/24', 'loopback'], '203.0.113.8', true],
    [['2001:db8::/32'], '2001:db8:1::1', true],
    [['2001:db8::/32'], '2001:db9::1', false],
    [[], '127.0.0.1', false],
    [false, '127.0.0.1', false],
    [true, '203.0.113.7', true],
    [true, undefined, true],
  ])('with %j those of %j count: %j', (trustProxy, address, counts) => {
    const reach = at('', trustProxy)
    const headers = {
      'x-forwarded-prefix': '/p',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'a.example, b',
      'x-forwarded-port': '1',
    }
    const said = { headers, socket: { remoteAddress: address } }
    expect(reach.prefix(said)).toBe(counts ? '/p' : '')
    expect(reach.forwarded(said)).toEqual(counts ? { scheme: 'https', host: 'a.example', port: '1' } : {})
  })

  test.each([
    ['loopback', true],
    ['10.0.0.0/8', true],
    ['::1', true],
    ['fc00::/7', true],
    ['10.0.0.0/33', false],
    ['::/129', false],
    ['10.0.0', false],
    ['proxy', false],
    ['toString', false],
    ['10.0.0.0/8/8', false],
    ['', false],
  ])('%j can be trusted: %j', (entry, can) => {
    expect(isTrustable(entry)).toBe(can)
  })

  test.each([
    ['nothing', {}, 'http://jobcast:3000'],
    ['a scheme', { 'x-forwarded-proto': 'https, http' }, 'https://jobcast:3000'],
    ['both', { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'a.example' }, 'https://a.example'],
    ['another scheme', { 'x-forwarded-proto': 'javascript' }, 'http://jobcast:3000'],
    ['what is no host', { 'x-forwarded-host': 'a.example/b?c' }, 'http://localhost'],
  ])('whoever decides by the request is told the origin that the caller asked: %s', (_what, said, origin) => {
    const incoming = new IncomingMessage(new Socket())
    Object.assign(incoming, {
      method: 'POST',
      url: '/api/jobs?x',
      headers: { host: 'jobcast:3000', ...said },
    })
    expect(requestOf(incoming, at('', true)).url).toBe(`${origin}/api/jobs?x`)
    expect(requestOf(incoming, at('', false)).url).toBe('http://jobcast:3000/api/jobs?x')
  })
})
