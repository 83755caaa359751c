import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { validate } from 'dockerfile-utils'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { readConfig } from '../../server/config.ts'

const FOLDER = fileURLToPath(new URL('../../deploy/', import.meta.url))
const read = (name: string) => readFile(join(FOLDER, name), 'utf8')
const { drainMs } = readConfig({})

describe('deploy/Dockerfile', () => {
  test('is one without a fault', async () => {
    const text = await read('Dockerfile')
    expect(validate(text)).toEqual([])
    const instructions = [...text.matchAll(/^([A-Z]+) (.*)$/gm)].map(([, name, rest]) => ({ name, rest }))
    const all = (name: string) => instructions.filter((one) => one.name === name).map(({ rest }) => rest)
    expect(all('FROM').every((image) => /^[\w./-]+:\d[\w.-]*( AS \w+)?$/.test(image ?? ''))).toBe(true)
    expect(all('ADD')).toEqual([])
    // What runs in the end is not root's, and gets its signals itself.
    expect(all('USER')).toEqual(['node'])
    for (const command of [...all('CMD'), ...all('HEALTHCHECK').map((one) => one?.replace(/^.*?CMD /, ''))])
      expect(z.array(z.string()).parse(JSON.parse(command ?? ''))).not.toEqual([])
  })

  test('says what the server understands', async () => {
    const [, environment = ''] = /^ENV (.*)$/m.exec(await read('Dockerfile')) ?? []
    const variables = Object.fromEntries(environment.split(' ').map((one) => one.split('=')))
    expect(() => readConfig(variables)).toThrow('set JOBCAST_API_KEYS')
    expect(readConfig({ ...variables, JOBCAST_API_KEYS: 'me:admin:key' })).toMatchObject({
      host: '0.0.0.0',
      store: { kind: 'sqlite', folder: '/data' },
    })
  })
})

const Compose = z.object({
  services: z.record(
    z.string(),
    z.object({
      environment: z.record(z.string(), z.string()).optional(),
      stop_grace_period: z.string().optional(),
    }),
  ),
})

test('deploy/compose.yaml starts processes that take what it says, and lets them drain', async () => {
  const { services } = Compose.parse(parse(await read('compose.yaml'), { merge: true }))
  for (const role of ['api', 'worker'] as const) {
    const { environment = {}, stop_grace_period: grace = '' } = services[role] ?? {}
    const given = Object.entries(environment).map(([name, value]) => {
      const [, asked] = /^\$\{\w+:\?such as (.*)\}$/.exec(value) ?? []
      return [name, asked ?? value]
    })
    const config = readConfig({ HOST: '0.0.0.0', ...Object.fromEntries(given) })
    expect(config).toMatchObject({ role, store: { kind: 'redis', url: 'redis://redis:6379' } })
    expect(Number(/^(\d+)s$/.exec(grace)?.[1]) * 1000).toBeGreaterThan(drainMs)
  }
})

test.runIf(process.platform === 'linux')('deploy/jobcast.service is a unit that systemd takes', async () => {
  const text = await read('jobcast.service')
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1]) * 1000).toBeGreaterThan(drainMs)
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-unit-'))
  try {
    const command = join(folder, 'node_modules/.bin/jobcast')
    await mkdir(dirname(command), { recursive: true })
    await writeFile(command, '#!/bin/sh\n')
    await chmod(command, 0o755)
    const unit = join(folder, 'jobcast.service')
    await writeFile(unit, text.replaceAll('/srv/jobcast', folder))
    const analyze = process.env.SYSTEMD_ANALYZE_BIN ?? 'systemd-analyze'
    const { stdout, stderr } = await promisify(execFile)(analyze, ['verify', '--man=no', unit])
    expect(stdout + stderr).toBe('')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
