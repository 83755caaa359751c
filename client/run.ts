import type { Job } from '../shared/job.ts'
import type { JobcastClient, RunCall, Submission } from './client.ts'
import { JobcastError } from './errors.ts'
import { onAbort } from './time.ts'
import type { JobWatch } from './watch.ts'

type Cancel = (jobId: string, timeoutMs: number) => Promise<Job>

/** Whoever aborts does not want to wait. */
const CANCEL_WITHIN_MS = 5000

/** Submits a job and waits for its result. It is loaded with the first call: most pages show a job while it goes on. */
export async function run(
  client: Pick<JobcastClient, 'submit' | 'watch'>,
  cancel: Cancel,
  submission: Submission,
  call: RunCall,
): Promise<unknown> {
  const { cancelOnAbort, onEvent, ...submitCall } = call
  const { jobId, cursor } = await client.submit({ ...submission, ...submitCall })
  const watch = client.watch(jobId, onEvent === undefined ? {} : { after: cursor, onEvent })
  const unlink = onAbort(call.signal, () => watch.close())
  try {
    return resultOf(await watch.finished)
  } catch (error) {
    if (!(error instanceof JobcastError) || error.job !== null) throw error
    if (error.code === 'closed' && call.signal?.aborted) throw await left(watch, call, cancel)
    const { code, message } = error
    throw new JobcastError(code, message, { cause: error, jobIds: [jobId], job: watch.getSnapshot().job })
  } finally {
    unlink()
    watch.close()
  }
}

/** That a run is not waited for any more, and what becomes of it. */
async function left(
  { jobId, getSnapshot }: JobWatch,
  { signal, cancelOnAbort }: RunCall,
  cancel: Cancel,
): Promise<JobcastError> {
  const known = { cause: signal?.reason, jobIds: [jobId], job: getSnapshot().job }
  const words = `the wait for job ${jobId} was aborted`
  if (cancelOnAbort !== true) return new JobcastError('aborted', `${words}; the job goes on`, known)
  try {
    const job = await cancel(jobId, CANCEL_WITHIN_MS)
    return new JobcastError('aborted', `${words}; its cancel was requested`, { ...known, job })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return new JobcastError('aborted', `${words}; it could not be cancelled: ${why}`, known)
  }
}

/** Throws where it has none. */
function resultOf(job: Job): unknown {
  const { jobId, type, status, error, result } = job
  if (status === 'completed') return result
  const about = { jobIds: [jobId], job }
  if (status === 'cancelled')
    throw new JobcastError('job_cancelled', `job ${jobId} (${type}) was cancelled`, about)
  throw new JobcastError('job_failed', `job ${jobId} (${type}) failed: ${error}`, about)
}
