'use client'

import type { Job } from 'jobcast/client'
import { JobProgress, useJob } from 'jobcast/react'
import { useState } from 'react'
import type { landscape, Range } from '../jobs'

export function Painter({ initialJob }: { initialJob: Job | null }) {
  const [hue, setHue] = useState(210)
  const job = useJob<typeof landscape>({ type: 'landscape', initialJob, history: true })
  const isRunning = job.status === 'submitting' || job.status === 'queued' || job.status === 'processing'

  async function paint() {
    const jobId = await job.startJob({ hue, ranges: 8 })
    window.history.replaceState(null, '', `?job=${jobId}`)
  }

  const painted = job.events.flatMap((event) => (event.kind === 'chunk' ? [event.data as Range] : []))
  const ranges = job.status === 'completed' ? job.result.ranges : painted
  return (
    <section>
      <svg viewBox="0 0 800 400" role="img" aria-label="The landscape" data-ranges={ranges.length}>
        {ranges.map(({ path, color }) => (
          <path key={path} d={path} fill={color} />
        ))}
      </svg>
      <JobProgress job={job} label="Painting" />
      <form action={paint}>
        <label>
          Light
          <input
            type="range"
            min={0}
            max={360}
            value={hue}
            onChange={(event) => setHue(Number(event.target.value))}
          />
        </label>
        <button type="submit" disabled={isRunning}>
          Paint
        </button>
        {isRunning && (
          <button type="button" onClick={job.cancel}>
            Cancel
          </button>
        )}
      </form>
    </section>
  )
}
