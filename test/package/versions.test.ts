import { cp } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Example } from './harness/example.ts'
import { startJobcast } from './harness/jobcast.ts'
import { installTool, type Tool } from './harness/tool.ts'

const FILES = fileURLToPath(new URL('versions', import.meta.url))

let example: Example
beforeAll(async () => {
  example = await Example.install('node')
  await cp(FILES, example.folder, { recursive: true })
})
afterAll(() => example?.remove())

describe.each(['20', '22', '24', '26'])('Node %s', (version) => {
  let node: Tool
  beforeAll(async () => {
    node = await installTool('node', version)
  })
  afterAll(() => node?.remove())

  const inThread = { square: 144, isMainThread: false, node: expect.stringMatching(`^v${version}\\.`) }

  test('jobcast dev: a job of a jobs file, and one in a thread from TypeScript', async () => {
    const env = { ...node.env, JOBCAST_DATA: `.data-${version}` }
    const url = await startJobcast(example, env, 'typed.ts', 'jobs.js')
    const printed = await example.run(['node', 'main.js'], { ...node.env, JOBCAST_URL: url })
    expect(printed).toContain('completed { words: 9 }')
    const submit = ['npx', 'jobcast', 'submit', 'square', 'n=12', '--watch', '--json', '--url', url]
    const lines = (await example.run(submit, node.env)).trim().split('\n')
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ kind: 'job', job: { result: inThread } })
  })

  test('a server within a program, with nothing said on its error output', async () => {
    const printed = await example.run(['node', 'embedded.mjs'], node.env)
    expect(JSON.parse(printed)).toEqual(inThread)
  })
})
