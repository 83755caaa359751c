import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { payloadSchemaOf } from '../../server/jobs/define-job.ts'
import { shippedJobs } from '../../server/jobs/index.ts'

test('three types ship, each with a JSON Schema for forms', () => {
  expect(shippedJobs.map(({ type }) => type)).toEqual(['thumbnails', 'render', 'countdown'])
  for (const job of shippedJobs) expect(payloadSchemaOf(job)).toMatchObject({ type: 'object' })
})

test('a process that has not run them has loaded neither the image library nor the thread pool', () => {
  const built = new URL('../../dist/server/', import.meta.url)
  const script = `
    await import('${new URL('jobs/index.js', built)}')
    await import('${new URL('worker/worker.js', built)}')
    const { Module } = await import('node:module')
    const loaded = Object.keys(Module._cache).filter((path) => /node_modules.(sharp|piscina)/.test(path))
    process.stdout.write(JSON.stringify(loaded))`
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script])
  expect(JSON.parse(output.toString())).toEqual([])
})
