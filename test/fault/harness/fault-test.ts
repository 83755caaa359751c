import { test } from 'vitest'
import { Lab, type LabOptions } from './lab.ts'
import { repetitionsOf } from './repetitions.ts'
import type { EngineName } from './store.ts'
import type { Trial } from './trial.ts'

export interface FaultOptions extends LabOptions {
  readonly on: readonly EngineName[]
  /** How often in a soak run (`npm run test:soak`); otherwise once. */
  readonly soak?: number
  /** How often one experiment brings it about. */
  readonly times?: number
  /** It cannot be brought about here. */
  readonly skip?: boolean
}

/** The longest trial: a fault, its healing, and the return to the baseline. */
const TRIAL_MS = 90_000

/**
 * A row of what Jobcast survives: brings about the fault in `inject`, then holds everything to the invariants.
 * Rows of one file run at the same time, since they mostly wait.
 */
export function faultTest(fault: string, options: FaultOptions, inject: (lab: Lab) => Promise<void>): void {
  const { times = 1 } = options
  const repetitions = repetitionsOf(options.soak)
  for (const engine of options.on) {
    test
      .skipIf(options.skip === true)
      .concurrent(
        `${fault} (${engine})`,
        { timeout: TRIAL_MS * repetitions * Math.ceil(times / 10) },
        async ({ task }) => {
          const trials: Trial[] = []
          const failures: unknown[] = []
          task.meta.trials = trials
          for (let repetition = 1; repetition <= repetitions; repetition += 1) {
            const lab = await Lab.open(engine, options)
            let passed = false
            try {
              await inject(lab)
              await lab.verify()
              passed = true
            } catch (error) {
              failures.push(error)
            } finally {
              trials.push({ fault, engine, times, passed, ...lab.findings() })
              await lab.close()
            }
          }
          if (failures.length > 0) throw failures[0]
        },
      )
  }
}
