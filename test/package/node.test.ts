import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { Example } from './harness/example.ts'

let example: Example
beforeAll(async () => {
  example = await Example.install('node')
})
afterAll(() => example?.remove())

test('a script submits a job and tells of its progress as it happens', async () => {
  const port = String(await freePort())
  const server = await example.start(['node', 'node_modules/jobcast/dist/server/main.js'], {
    env: { PORT: port, JOBCAST_JOBS: 'jobs.js' },
    ready: /listening on (\S+)/,
  })
  const printed = await example.run(['npm', 'start'], { JOBCAST_URL: server.match[1] ?? '' })
  expect(printed).toContain('- quick\n')
  expect(printed).toContain('100 %\n')
  expect(printed).toContain('completed { words: 9 }')
  expect(await server.stop()).toBe(0)
})
