import type { Claim, RunEvent } from '../../server/engine/engine.ts'
import { toldOf } from '../../server/worker/attempt.ts'
import { createContext } from '../../server/worker/context.ts'
import { DEFAULT_OPTIONS, NO_LABELS } from '../../shared/options.ts'

/** A job as a worker claims it. */
export function aClaim(changes: Partial<Claim> = {}): Claim {
  return {
    ...NO_LABELS,
    ...{ jobId: 'j', lease: 'l', type: 't', payload: null, attempt: 1, stalls: 0 },
    ...{ policy: DEFAULT_OPTIONS, waitMs: 0, leasedAt: 0 },
    ...changes,
  }
}

/** What a handler of the job is given, and what it reports. */
export function aContext(claim: Claim = aClaim()) {
  const emitted: RunEvent[] = []
  const { signal } = new AbortController()
  const emit = (event: RunEvent) => void emitted.push(event)
  const context = createContext({ told: toldOf(claim), signal, draining: signal, emit })
  return { context, emitted }
}
