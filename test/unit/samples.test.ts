import { expect, test } from 'vitest'
import samples from '../../examples/samples/index.ts'
import { jsonSchemaOf } from '../../server/jobs/json-schema.ts'

test('there are three samples, each with a JSON Schema for forms', () => {
  expect(samples.map(({ type }) => type)).toEqual(['thumbnails', 'render', 'countdown'])
  for (const job of samples) expect(jsonSchemaOf(job.payload, 'input')).toMatchObject({ type: 'object' })
})
