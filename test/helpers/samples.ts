import samples from '../../examples/samples/index.ts'
import { checkValue } from '../../server/jobs/check-value.ts'
import type { JobDefinition } from '../../server/jobs/define-job.ts'

/** Threads of Node 20 run no TypeScript. */
const BUILT = new URL('../../dist/examples/samples/render/thread.js', import.meta.url)

/** The sample of this name. */
export function sample(type: string): JobDefinition {
  const found = samples.find((job) => job.type === type)
  if (found === undefined) throw new Error(`no job type ${type}`)
  return found.isolate === undefined ? found : { ...found, isolate: BUILT }
}

/** What the type's schema has against a payload, as `path: message`. */
export async function problems(type: string, payload: unknown): Promise<string[]> {
  const checked = await checkValue(sample(type).payload, payload)
  return checked.ok ? [] : checked.issues.map(({ path, message }) => `${path}: ${message}`)
}
