import { afterAll, beforeAll, expect, test } from 'vitest'
import { Example } from './harness/example.ts'
import { startJobcast } from './harness/jobcast.ts'

let example: Example
beforeAll(async () => {
  example = await Example.install('node')
})
afterAll(() => example?.remove())

test('a script submits a job and tells of its progress as it happens', async () => {
  const printed = await example.run(['npm', 'start'], { JOBCAST_URL: await startJobcast(example) })
  expect(printed).toContain('- quick\n')
  expect(printed).toContain('100 %\n')
  expect(printed).toContain('completed { words: 9 }')
})
