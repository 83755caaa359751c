import { expect, test } from 'vitest'
import { payloadSchemaOf } from '../../server/jobs/define-job.ts'
import { shippedJobs } from '../../server/jobs/index.ts'

test('three types ship, each with a JSON Schema for forms', () => {
  expect(shippedJobs.map(({ type }) => type)).toEqual(['thumbnails', 'render', 'countdown'])
  for (const job of shippedJobs) expect(payloadSchemaOf(job)).toMatchObject({ type: 'object' })
})
