import { expect, test } from 'vitest'
import { payloadSchemaOf } from '../../server/jobs/define-job.ts'
import { sampleJobs } from '../../server/samples/index.ts'

test('three types ship, each with a JSON Schema for forms', () => {
  expect(sampleJobs.map(({ type }) => type)).toEqual(['thumbnails', 'render', 'countdown'])
  for (const job of sampleJobs) expect(payloadSchemaOf(job)).toMatchObject({ type: 'object' })
})
