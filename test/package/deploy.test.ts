import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { Example } from './harness/example.ts'

let example: Example
beforeAll(async () => {
  example = await Example.install('node')
})
afterAll(() => example?.remove())

test('what deploy/Dockerfile starts serves, is healthy and drains', async () => {
  const text = await readFile(new URL('../../deploy/Dockerfile', import.meta.url), 'utf8')
  const port = String(await freePort())
  const lineOf = (pattern: RegExp) => (pattern.exec(text)?.[1] ?? '').replaceAll('3000', port)
  const variables = lineOf(/^ENV (.*)$/m).split(' ')
  const env = {
    ...Object.fromEntries(variables.map((one) => one.split('='))),
    JOBCAST_DATA: '.data',
    JOBCAST_API_KEYS: 'me:admin:a-long-secret',
  }
  await example.run(lineOf(/^RUN (npm ci .*)$/m).split(' '))
  const server = await example.start(JSON.parse(lineOf(/^CMD (.*)$/m)), { env, ready: /listening on (\S+)/ })
  expect(server.match[1]).toBe(`http://0.0.0.0:${port}`)
  await example.run(JSON.parse(lineOf(/^HEALTHCHECK .*?CMD (.*)$/m)))
  expect(await server.stop()).toBe(0)
  await expect(example.run(JSON.parse(lineOf(/^HEALTHCHECK .*?CMD (.*)$/m)))).rejects.toThrow('ended with 1')
})
