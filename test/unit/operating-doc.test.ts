import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { warningsOf } from '../../server/engine/redis/server.ts'
import { unservedWarning } from '../../server/maintenance/type-keeper.ts'
import { hungWarnings, stuckReason } from '../../server/worker/hung.ts'

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}

const page = read('docs/guides/operating.md')

/** What is written down at these levels, up to where details follow. */
function logged(): string[] {
  const source = read('server/log.ts')
  const levels = [
    ...source.matchAll(/log(?:\.(?:warn|error)|\[[^\]]*'warn'[^\]]*\]|\[level\])\(([\s\S]*?)\n? *\)\n/g),
  ]
  return levels.flatMap(([, call = '']) =>
    [...call.matchAll(/'([^']{6,})'/g)].map(([, text = '']) => text.split(/: every| \(/)[0] ?? ''),
  )
}

test('every warning and error of the log is explained', () => {
  const said = logged().filter((text) => !text.startsWith('run settled'))
  expect(said.length).toBeGreaterThan(12)
  expect(said.filter((text) => !page.includes(text))).toEqual([])
})

test('every warning of /readyz and the overview is explained', () => {
  const slots = { slots: 2, types: [{ type: 'x', runs: 2, limit: 2 }] }
  const ofRedis = new Map([
    ['aof_enabled', '0'],
    ['connected_slaves', '1'],
  ])
  const said = [
    ...warningsOf(ofRedis),
    unservedWarning({ type: 'x', queued: 1 }),
    ...hungWarnings({ ...slots, all: false }),
    stuckReason({ ...slots, all: true }) ?? '',
  ]
  expect(said).toHaveLength(5)
  const inGeneral = (text: string) =>
    (text.split(/[:;]/)[0] ?? '').replace('type x', 'type …').replace('here', 'in this process')
  expect(said.filter((text) => !page.includes(inGeneral(text)))).toEqual([])
})

test('every metric that it names is measured', () => {
  const source = read('server/metrics.ts')
  const named = [...new Set(page.match(/(?<=`?jobcast_)[a-z_]+/g))]
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter((name) => !source.includes(`'${name}'`))).toEqual([])
})
