import { SubmitAnswer } from '../../shared/api.ts'
import { Job } from '../../shared/job.ts'
import { isTerminal } from '../../shared/status.ts'
import { until } from './until.ts'

/** Submits a job over HTTP; rejects with the problem where it is refused. */
export async function submit(
  url: string,
  body: { type: string; payload: unknown; options?: Record<string, unknown> },
): Promise<SubmitAnswer> {
  const response = await post(`${url}/api/jobs`, body)
  const answer = await response.json()
  if (response.status !== 202) throw new Error(`${response.status} ${JSON.stringify(answer)}`)
  return SubmitAnswer.parse(answer)
}

function post(address: string, body?: unknown): Promise<Response> {
  return fetch(address, {
    method: 'POST',
    ...(body !== undefined && {
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    }),
  })
}

/** The job as the status endpoint shows it, held to the schema. */
export async function getJob(url: string, jobId: string): Promise<Job> {
  const response = await fetch(`${url}/api/jobs/${jobId}`)
  const answer = await response.json()
  if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(answer)}`)
  return Job.parse(answer)
}

/** Waits, by polling, until the job satisfies the condition. */
export function untilJob(
  url: string,
  jobId: string,
  condition: (job: Job) => boolean,
  what: string,
  timeoutMs = 15_000,
): Promise<Job> {
  const look = async () => {
    const job = await getJob(url, jobId)
    if (condition(job)) return job
    throw new Error(`it is ${JSON.stringify({ ...job, payload: undefined, result: undefined })}`)
  }
  return until(look, { what: `job ${jobId} ${what}`, timeoutMs, intervalMs: 25 })
}

export function untilTerminal(url: string, jobId: string, timeoutMs?: number): Promise<Job> {
  return untilJob(url, jobId, ({ status }) => isTerminal(status), 'to end', timeoutMs)
}
