import type { RunEvent } from '../server/engine/engine.ts'
import { newJobId } from '../server/engine/job/ids.ts'
import type { JobContext, ToldOfJob } from '../server/jobs/define-job.ts'
import { createContext } from '../server/worker/context.ts'
import type { LogLine } from '../shared/event.ts'
import type { Progress } from '../shared/job.ts'

/** What a handler reported, all of it, in order. */
export interface Reported {
  readonly progress: readonly Progress[]
  readonly logs: readonly LogLine[]
  readonly chunks: readonly unknown[]
}

/** @internal */
export class Reports implements Reported {
  readonly progress: Progress[] = []
  readonly logs: LogLine[] = []
  readonly chunks: unknown[] = []

  readonly add = (event: RunEvent): void => {
    if (event.kind === 'progress') this.progress.push(event.data)
    else if (event.kind === 'log') this.logs.push(event.data)
    else this.chunks.push(event.data)
  }
}

/** What the handler is told of its job, where that matters. */
export interface TestContextOptions extends Partial<ToldOfJob> {
  /** Left out: one that never fires. */
  readonly signal?: AbortSignal
  /** Left out: one that never fires. */
  readonly draining?: AbortSignal
}

/** What `testContext` makes: a context to call a handler with, and what the handler reported to it. */
export interface TestContext extends Reported {
  readonly context: JobContext
}

/**
 * A context to call one handler with, without any server: `await wordCount.run({ text }, context)`. The payload's schema is not asked.
 * It is of a job's first attempt, unless the options say something else.
 */
export function testContext({ signal, draining, ...told }: TestContextOptions = {}): TestContext {
  const reports = new Reports()
  const never = () => new AbortController().signal
  const context = createContext({
    told: { jobId: newJobId(), type: 'test', attempt: 1, ...told },
    signal: signal ?? never(),
    draining: draining ?? never(),
    emit: reports.add,
  })
  const { progress, logs, chunks } = reports
  return { context, progress, logs, chunks }
}
