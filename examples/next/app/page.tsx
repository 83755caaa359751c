import { createClient } from 'jobcast/client'
import type { jobs } from '../jobs'
import { Painter } from './painter'

/** Straight to Jobcast, with the key: this runs on the server. */
const jobcast = createClient<typeof jobs>({
  baseUrl: process.env.JOBCAST_URL ?? 'http://127.0.0.1:3300',
  credential: process.env.JOBCAST_KEY,
})

export default async function Page({ searchParams }: { searchParams: Promise<{ job?: string }> }) {
  const { job: jobId } = await searchParams
  const job = jobId ? await jobcast.get(jobId).catch(() => null) : null
  return (
    <main>
      <h1>Landscapes</h1>
      <p>
        Each is a job: painted in the background, shown as it grows. Reload while it is, or open it twice.
      </p>
      <Painter initialJob={job} />
    </main>
  )
}
