import { syncBuiltinESMExports } from 'node:module'
import type { Events } from './events.ts'
import { isOwn } from './source-maps.ts'
import { readThrown } from './thrown.ts'
import { isAbort } from './worker/context.ts'
import { currentScope, outOfScope } from './worker/execution.ts'

/**
 * Takes what nobody caught in this process: exceptions out of timers, sockets and emitters, and rejections of forgotten
 * promises. What a run's handler had begun fails that run, and is told of in the log where the run has ended; nothing
 * else notices. Installs listeners for the whole process, which must be Jobcast's own: whoever runs workers within a
 * program of another purpose decides there what an exception does.
 *
 * `broken` is called where Jobcast's own code threw: what it left half done nobody knows, so the process should end.
 */
export function catchUncaught(events: Events, broken: () => void): void {
  const taken = (error: unknown): boolean => {
    const scope = currentScope()
    if (scope === null) return false
    const { jobId, type, attempt } = scope
    // What follows from it, as the next run in its slot, is no longer this one's.
    outOfScope(() => {
      if (!scope.uncaught(error)) events.emit('run.uncaught', { jobId, type, attempt, error })
    })
    return true
  }
  process.on('unhandledRejection', (error) => {
    if (!taken(error)) events.emit('failure', { where: 'unhandled rejection', error })
  })
  process.on('uncaughtException', (error) => {
    if (taken(error)) return
    // The reason of a signal is made here, and thrown by whoever heeds it.
    const own = !isAbort(error) && isOwn(readThrown(error).frames)
    const where = own ? 'uncaught exception of the server itself: draining' : 'uncaught exception'
    events.emit('failure', { where, error })
    if (own) broken()
  })
  noticeSignals()
  catchMicrotasks(taken)
}

/** Signals at which this process drains. Others end it at once, or do not end it: 0 asks whether it is there. */
const DRAINING: readonly (string | number | undefined)[] = [undefined, 'SIGTERM', 'SIGINT', 15, 2]

/** A handler may end its process by a signal, which nobody could tell from an operator's. */
function noticeSignals(): void {
  const { kill, pid } = process
  process.kill = (target, signal) => {
    // 0 and below are groups of processes, of which this one may be.
    if ((target === pid || target <= 0) && DRAINING.includes(signal)) currentScope()?.endsProcess()
    return kill.call(process, target, signal)
  }
  // Jobs modules are loaded already, and may have imported it by its name.
  syncBuiltinESMExports()
}

/** What a microtask throws comes to Node when it knows no more whose that was. */
function catchMicrotasks(take: (error: unknown) => boolean): void {
  const enqueue = globalThis.queueMicrotask
  globalThis.queueMicrotask = (task) => {
    if (currentScope() === null || typeof task !== 'function') return enqueue(task)
    enqueue(() => {
      try {
        task()
      } catch (error) {
        take(error)
      }
    })
  }
}
