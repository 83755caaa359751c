import { checkValue } from '../../server/jobs/check-value.ts'
import type { JobDefinition } from '../../server/jobs/define-job.ts'
import { sampleJobs } from '../../server/samples/index.ts'

/** The job type of this name that comes with Jobcast. */
export function sample(type: string): JobDefinition {
  const found = sampleJobs.find((job) => job.type === type)
  if (found === undefined) throw new Error(`no job type ${type}`)
  return found
}

/** What the type's schema has against a payload, as `path: message`. */
export async function problems(type: string, payload: unknown): Promise<string[]> {
  const checked = await checkValue(sample(type).payload, payload)
  return checked.ok ? [] : checked.issues.map(({ path, message }) => `${path}: ${message}`)
}
