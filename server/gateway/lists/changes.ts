import type { JobSummary } from '../../../shared/job.ts'
import { textFrame } from '../transports/websocket/text-frame.ts'

/** What has changed in a list: made into text once, and into a frame once for all who call the list the same. */
export class Changes {
  /** Of all jobs that it tells of. */
  readonly jobIds: readonly string[]
  readonly #jobs: readonly JobSummary[]
  readonly #gone: readonly string[]
  readonly #frames = new Map<string, Buffer>()
  #json: string | null = null

  constructor(jobs: readonly JobSummary[], gone: readonly string[]) {
    this.#jobs = jobs
    this.#gone = gone
    this.jobIds = [...jobs.map(({ jobId }) => jobId), ...gone]
  }

  frame(list: string): Buffer {
    const known = this.#frames.get(list)
    if (known !== undefined) return known
    this.#json ??= `"jobs":${JSON.stringify(this.#jobs)},"gone":${JSON.stringify(this.#gone)}}`
    const frame = textFrame(`{"op":"changes","list":${JSON.stringify(list)},${this.#json}`)
    this.#frames.set(list, frame)
    return frame
  }
}
