import { advanceCursor } from './cursor.ts'
import type { JobEvent } from './event.ts'
import type { Job } from './job.ts'

/**
 * The job after an event: `status` assigns its fields, `progress` sets the progress, `log` and `chunk`
 * change nothing, every event moves the cursor. Folding the events after a snapshot's cursor into the
 * snapshot gives the job as it is now, field for field.
 */
export function fold(job: Job, event: JobEvent): Job {
  const cursor = advanceCursor(job.cursor, event.seq)
  if (event.kind === 'status') return { ...job, ...event.data, cursor } as Job
  if (event.kind === 'progress') return { ...job, progress: event.data, cursor }
  return { ...job, cursor }
}
