import { createClient, type JobcastClient, JobcastError, type JobOf } from 'jobcast/client'
import type { jobs, record, resize, tuple, wordCount } from './jobs.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never
function same<A, B>(_: Equal<A, B>): void {}

const client = createClient<typeof jobs>({ baseUrl: 'http://127.0.0.1:3300' })

export async function results(): Promise<void> {
  const counted = await client.run({ type: 'word-count', payload: { text: 'x' } })
  same<typeof counted, { words: number; year: number; at: string }>(true)
  const resized = await client.run(
    { type: 'resize', payload: { width: 3 }, options: { priority: 3 } },
    { signal: AbortSignal.timeout(1000), cancelOnAbort: true, onEvent: ({ kind }) => void kind },
  )
  same<typeof resized, string>(true)
  const silent = await client.run({ type: 'silent', payload: null })
  same<typeof silent, null>(true)
}

export async function refusals(): Promise<void> {
  // @ts-expect-error no such type
  await client.submit({ type: 'wrod-count', payload: { text: 'x' } })
  // @ts-expect-error no such field
  await client.submit({ type: 'word-count', payload: { txt: 'x' } })
  // @ts-expect-error the payload of another type
  await client.submit({ type: 'resize', payload: { text: 'x' } })
  // @ts-expect-error a field of the wrong type
  await client.run({ type: 'resize', payload: { width: '3' } })
  // @ts-expect-error no payload
  await client.run({ type: 'resize' })
  await client.submitBatch([
    { type: 'resize', payload: { width: 3 } },
    { type: 'word-count', payload: { text: 'x' } },
    // @ts-expect-error the payload of another type
    { type: 'resize', payload: { text: 'x' } },
  ])
  // @ts-expect-error no such type
  await client.pause('resise')
  // @ts-expect-error no such type
  await client.list({ type: ['resize', 'resise'] })
  // @ts-expect-error no such option
  await client.submit({ type: 'resize', payload: { width: 3 }, options: { prio: 3 } })
}

export async function jobsOfAnId(): Promise<void> {
  const { jobId, type } = await client.submit({ type: 'resize', payload: { width: 3 } })
  same<typeof type, 'resize'>(true)
  const job = await client.get(jobId)
  same<typeof job, JobOf<typeof resize>>(true)
  const payload: { width: number } = job.payload
  void payload
  // @ts-expect-error it may not have completed
  const early: string = job.result
  void early
  if (job.status === 'completed') same<typeof job.result, string>(true)
  else same<typeof job.result, null>(true)
  const ended = await client.watch(jobId).finished
  if (ended.status === 'completed') same<typeof ended.result, string>(true)

  const plain: string = jobId
  const some = await client.get(plain)
  if (some.type === 'word-count' && some.status === 'completed') same<typeof some.result.words, number>(true)
  const named: JobOf<typeof wordCount>['type'] = 'word-count'
  void named
  await client.cancel(jobId)
}

/** Without the jobs' types any go. */
export async function untyped(): Promise<void> {
  const any = createClient()
  const { jobId } = await any.submit({ type: 'anything', payload: 1 })
  const { result, error } = await any.get(jobId)
  const out: unknown = await any.run({ type: 'anything', payload: { of: 'mine' } })
  void [result, error, out]
}

/** A tuple, an object, a module. */
export async function otherLists(): Promise<void> {
  const ofTuple = createClient<typeof tuple>()
  same<Awaited<ReturnType<typeof ofTuple.get>>['type'], 'word-count' | 'resize'>(true)
  const ofRecord = createClient<typeof record>()
  const resized = await ofRecord.run({ type: 'resize', payload: { width: 3 } })
  same<typeof resized, string>(true)
  const ofModule = createClient<typeof import('./jobs.js')>()
  const painted = await ofModule.run({ type: 'paint', payload: { scene: 'x' } })
  same<typeof painted, { strokes: number }>(true)
  // @ts-expect-error no such type
  await ofModule.run({ type: 'pain', payload: { scene: 'x' } })
}

/** Whatever takes a client takes one with types. */
export function takesAny(any: JobcastClient): void {
  takesAny(client)
  void any
}

export function explained(error: unknown): string | null {
  if (!(error instanceof JobcastError)) return null
  return error.code === 'job_failed' ? (error.job?.error ?? null) : error.message
}
