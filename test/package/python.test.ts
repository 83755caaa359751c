import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Example } from './harness/example.ts'
import { startJobcast } from './harness/jobcast.ts'

const SUBMIT = fileURLToPath(new URL('../../examples/python/submit.py', import.meta.url))

let example: Example
beforeAll(async () => {
  example = await Example.install('node')
})
afterAll(() => example?.remove())

test('a script of Python submits a job and follows it to its end', async () => {
  const env = { JOBCAST_URL: await startJobcast(example) }
  const printed = await example.run(['python3', SUBMIT, 'word-count', '{"text": "to be or not to be"}'], env)
  expect(printed.match(/^log /gm)).toHaveLength(6)
  expect(printed.trimEnd().split('\n').at(-1)).toBe('{"words": 6}')
})
