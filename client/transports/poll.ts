import type { PollAnswer } from '../../shared/api.ts'
import { isTerminal } from '../../shared/status.ts'
import { jobPath } from '../http.ts'
import type { Round } from './stream.ts'

/** Between two plain polls. */
const POLL_MS = 2000
/** Beyond the time that the server may hold a poll. */
const GRACE_MS = 10_000
/** Between two held polls that were answered at once with nothing: a draining server's, say. */
const EMPTY_MS = 1000

/** Asks for what came after the cursor; held up to `holdS` seconds, or, with 0, at once and then every 2 s. */
export function poll(holdS: number): Round {
  return async ({ http, job, signal, first, worked, replayed }) => {
    const { cursor, credential, history, jobId } = job
    // The first answer shows that this works at all; it is not held.
    const waitS = first ? 0 : holdS
    const query = new URLSearchParams({ after: cursor ?? '', wait: String(waitS) })
    if (history) query.set('history', '1')
    query.set('place', String(job.queue?.place ?? 0))
    const began = performance.now()
    const answer = await http.json<PollAnswer>(jobPath(jobId, `?${query}`), {
      credential,
      signal,
      // Slow is better than not at all where there is nothing below.
      ...(holdS === 0 ? {} : { timeoutMs: waitS * 1000 + GRACE_MS }),
    })
    worked()
    if (answer.mode === 'snapshot') {
      const { mode, reason, trimmed, events, queue: _queue, ...known } = answer
      replayed({
        mode,
        reason,
        job: known,
        trimmed,
        cursor: known.cursor,
        events: history ? events : undefined,
      })
    } else replayed({ mode: 'resume', cursor: answer.cursor, events: answer.events })
    job.placed(answer.queue ?? null)
    if (isTerminal(answer.status) && job.ended(answer.cursor)) return { kind: 'done' }
    const idle = answer.events.length === 0 && performance.now() - began < EMPTY_MS
    if (holdS === 0) return { kind: 'next', afterMs: POLL_MS }
    return { kind: 'next', afterMs: idle && !first ? EMPTY_MS : 0 }
  }
}
