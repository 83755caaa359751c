import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { bundleApp } from '../helpers/sdk-page.ts'

const KB = 1024
const CLIENT = "export { createClient } from '/client/index.ts'"
const HOOKS = "export { JobcastProvider, useJob } from '/client/react/index.ts'"
const EVERYTHING = "export * from '/client/index.ts'; export * from '/client/react/index.ts'"

/**
 * What of an app's bundle is ours, gzipped: what is loaded before a job can be watched, over whichever transport. Later, and only
 * where it is needed, come the code for tabs that share a connection, for lists, for `run` and for tokens that expire.
 */
test('the SDK has room in 15 KB, and a job in a React app in 2 more', async () => {
  expect(await sizeOf(CLIENT)).toBeLessThan(15 * KB)
  expect(await sizeOf(`${CLIENT}; ${HOOKS}`)).toBeLessThan(17 * KB)
  expect(await sizeOf(EVERYTHING)).toBeLessThan(20.5 * KB)
})

test('what is loaded later is small', async () => {
  const later = new Map([...(await sizes(CLIENT))].filter(([name]) => name !== 'app.js'))
  expect([...later.keys()].sort()).toEqual(['lists.js', 'run.js', 'tab.js', 'token-renewals.js'])
  expect(later.get('tab.js')).toBeLessThan(4.5 * KB)
  for (const name of ['lists.js', 'run.js', 'token-renewals.js'])
    expect(later.get(name)).toBeLessThan(1.5 * KB)
})

test('what is built is for clients where it says so, and else for servers too', async () => {
  const built = await readdir('dist/client/react')
  const texts = await Promise.all(
    built.filter((name) => name.endsWith('.js')).map((name) => readFile(`dist/client/react/${name}`, 'utf8')),
  )
  expect(texts.length).toBeGreaterThan(0)
  // Next looks for it at the very beginning.
  for (const text of texts) expect(text).toMatch(/^'use client'/)
  const script = "const { createClient } = await import('jobcast/client'); createClient({ baseUrl: '/jobs' })"
  const args = ['--conditions=react-server', '--input-type=module', '--eval', script]
  await promisify(execFile)(process.execPath, args)
})

/** Bytes of what the app loads at once. */
async function sizeOf(app: string): Promise<number> {
  return (await sizes(app)).get('app.js') ?? Number.POSITIVE_INFINITY
}

async function sizes(app: string): Promise<Map<string, number>> {
  const files = await bundleApp(app)
  return new Map([...files].map(([name, code]) => [name, gzipSync(code).length]))
}
