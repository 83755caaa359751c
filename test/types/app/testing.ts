import { testContext, testJobs } from 'jobcast/testing'
import { jobs, resize, silent, wordCount } from './jobs.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never
function same<A, B>(_: Equal<A, B>): void {}

export async function tested(): Promise<void> {
  await using test = testJobs(jobs, { now: new Date(0), concurrency: 2 })
  const counted = await test.run(
    wordCount,
    { text: 'x' },
    { delayMs: 60_000, signal: AbortSignal.timeout(10) },
  )
  if (counted.status === 'completed') same<typeof counted.result.words, number>(true)
  else same<typeof counted.result, null>(true)
  same<typeof counted.attempts, number>(true)
  const { job } = await test.run(silent, undefined)
  if (job.status === 'completed') same<typeof job.result, null>(true)
  // @ts-expect-error no such field
  await test.run(resize, { with: 3 })
  // @ts-expect-error not one of the jobs
  await testJobs([wordCount]).run(resize, { width: 3 })
  // @ts-expect-error no such type
  await test.client.submit({ type: 'resise', payload: { width: 3 } })
  await test.clock.advance(60_000)
  await test.idle()

  const { context, logs } = testContext({ attempt: 2 })
  const text: string = await resize.run({ width: 3 }, context)
  const line: string | undefined = logs[0]?.line
  void [text, line]
}
