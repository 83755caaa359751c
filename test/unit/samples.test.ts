import { expect, test } from 'vitest'
import samples from '../../examples/samples/index.ts'
import { payloadSchemaOf } from '../../server/jobs/define-job.ts'

test('there are three samples, each with a JSON Schema for forms', () => {
  expect(samples.map(({ type }) => type)).toEqual(['thumbnails', 'render', 'countdown'])
  for (const job of samples) expect(payloadSchemaOf(job)).toMatchObject({ type: 'object' })
})
