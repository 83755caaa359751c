import { EventEmitter } from 'node:events'
import type { JobErrorCode } from '../shared/codes.ts'
import type { LogLevel } from '../shared/event.ts'
import type { JobStatus } from '../shared/status.ts'
import type { Thrown } from './thrown.ts'

export type Transport = 'socket' | 'sse' | 'poll'

/**
 * What happens in this process, for whoever wants to know: logs, metrics, presence. Business code emits and
 * neither logs nor counts by hand. Durations in ms.
 */
export interface ServerEvents {
  'job.submitted': [{ type: string; jobs: number; replayed: boolean }]
  'run.claimed': [{ jobId: string; type: string; attempt: number; waitMs: number | null }]
  'run.settled': [
    {
      jobId: string
      type: string
      attempt: number
      status: JobStatus
      errorCode: JobErrorCode | null
      error: string | null
      /** What the handler threw, where it threw something. */
      thrown: Thrown | null
      runMs: number
    },
  ]
  /** A handler has logged a line: told only where somebody listens. */
  'run.logged': [{ jobId: string; type: string; level: LogLevel; line: string }]
  /** A run's lease was lost: it was told to stop and what it does from now on is discarded. */
  'run.lost': [{ jobId: string; type: string; attempt: number }]
  /** A run was left to be taken back as stalled, since it may be why its process ends. */
  'run.abandoned': [{ jobId: string; type: string; attempt: number }]
  /** What a handler had begun threw, when that could change nothing of its run any more. */
  'run.uncaught': [{ jobId: string; type: string; attempt: number; error: unknown }]
  /** A handler went on after its timeout or cancellation, or its isolated thread had to be killed. */
  'run.overstayed': [{ jobId: string; type: string; attempt: number; killed: boolean }]
  /** A handler that had overstayed has ended, so long after it was told to stop: its slot is free. */
  'run.returned': [{ jobId: string; type: string; attempt: number; lateMs: number }]
  /** A job was not begun here since the handler of an earlier attempt still hangs here; nothing is counted. */
  'run.put_off': [{ jobId: string; type: string; attempt: number; delayMs: number }]
  /** The handlers of all slots hang: nothing runs here any more, until one of them ends or the process is started again. */
  'worker.stuck': [{ slots: number; types: readonly { type: string; runs: number }[] }]
  /** One of them has ended. */
  'worker.unstuck': []
  /** Jobs of these types wait, and no live worker runs them; told once, until one does. */
  'types.unserved': [{ types: readonly { type: string; queued: number }[] }]
  'jobs.promoted': [{ jobs: number }]
  'jobs.rescued': [{ jobs: number }]
  'jobs.pruned': [{ jobs: number }]
  'gateway.opened': [{ transport: Transport }]
  'gateway.closed': [{ transport: Transport; code: number }]
  'gateway.subscribed': [{ transport: Transport; mode: 'snapshot' | 'resume' }]
  'gateway.unsubscribed': [{ transport: Transport }]
  'gateway.sent': [{ transport: Transport; events: number }]
  /** A message of the feed was missing and read from the store. */
  'feed.gap': [{ jobId: string }]
  /** The periodic check found an event that neither the feed nor a gap had shown. */
  'feed.missed': [{ jobId: string }]
  'feed.reset': [{ epoch: string }]
  'store.down': [{ reason: string }]
  /** It holds a word that only a newer version knows; once a word. */
  'store.newer': [{ what: string }]
  /** It can be used; the warnings say what is at risk with it. */
  'store.up': [{ epoch: string; warnings: readonly string[] }]
  /** A page of another origin, or a call by a foreign name, was refused; the remedy is for whoever meant to allow it. */
  'origin.refused': [{ origin: string | undefined; host: string | undefined; remedy: string }]
  'http.answered': [{ method: string; route: string; status: number; ms: number }]
  /** A type's payload schema failed, or did not answer in time: the submission was refused. */
  'schema.failed': [{ type: string; error: unknown }]
  /** It ends, after what is under way. */
  'process.draining': [{ signal: string }]
  /** Something failed that no caller can be told about. */
  failure: [{ where: string; error: unknown }]
}

export type Events = EventEmitter<ServerEvents>

export function createEvents(): Events {
  const events = new EventEmitter<ServerEvents>()
  events.setMaxListeners(100)
  return events
}
