import { createClient } from 'jobcast/client'
import { JobcastProvider, JobProgress, useClient, useJob } from 'jobcast/react'
import type { jobs, resize, wordCount } from './jobs.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never
function same<A, B>(_: Equal<A, B>): void {}

export function Counter({ jobId }: { jobId?: string }) {
  const job = useJob<typeof wordCount>({
    type: 'word-count',
    jobId,
    onCompleted: ({ words }, { payload }) => void (words.toFixed() + payload.text),
    onFailed: (error, { attempt }) => void (error.trim() + attempt),
    onEvent: ({ seq }) => void seq,
  })
  const start = () => job.startJob({ text: 'x' }, { options: { priority: 1 } })
  // @ts-expect-error no such field
  const wrong = () => job.startJob({ txt: 'x' })
  void [start, wrong]
  // @ts-expect-error it may not have completed
  void job.result.words
  if (job.status === 'completed') {
    same<typeof job.result, { words: number; year: number; at: string }>(true)
    return <p>{job.result.words}</p>
  }
  same<typeof job.result, null>(true)
  if (job.status === 'failed') return <p role="alert">{job.error}</p>
  return <p>{job.job?.payload.text ?? job.status}</p>
}

export function Others() {
  // @ts-expect-error the name of another type
  useJob<typeof resize>({ type: 'word-count' })
  // @ts-expect-error no such option
  useJob({ job: 'x' })
  const any = useJob()
  const start = () => any.startJob({ whatever: 1 }, { type: 'any' })
  const client = useClient<typeof jobs>()
  const run = () => client.run({ type: 'resize', payload: { width: 3 } })
  return <button type="button" onClick={any.status === 'idle' ? start : run} />
}

const client = createClient<typeof jobs>()

/** A server component hands over what it has read. */
export async function Page() {
  const first = await client.get('an-id')
  const { jobId } = await client.submit({ type: 'resize', payload: { width: 3 } })
  const resized = await client.get(jobId)
  return (
    <JobcastProvider baseUrl="/api/jobcast" token="t">
      <JobcastProvider client={client}>
        <JobProgress initialJob={first} style={{ '--jobcast-color': 'teal' }} />
        <JobProgress initialJob={resized} label="Resizing" />
        <Resized jobId={jobId} />
      </JobcastProvider>
    </JobcastProvider>
  )
}

function Resized({ jobId }: { jobId: string }) {
  const job = useJob<typeof resize>({ jobId })
  return <JobProgress job={job} describe={({ status }) => <b>{status}</b>} />
}

// @ts-expect-error neither a client nor how to make one
export const both = <JobcastProvider client={client} baseUrl="/api/jobcast" />
