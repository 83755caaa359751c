import { test } from 'vitest'
import type { AftermathOptions } from './aftermath.ts'
import { Deployment, type DeploymentOptions } from './deployment.ts'
import { Lab } from './lab.ts'
import { repetitionsOf } from './repetitions.ts'
import type { EngineName } from './store.ts'
import { type Findings, noteTrial } from './trial.ts'
import { within } from './within.ts'

export interface FaultOptions extends DeploymentOptions, AftermathOptions {
  readonly on: readonly EngineName[]
  /** How often in a soak run (`npm run test:soak`); otherwise once. */
  readonly soak?: number
  /** How often one experiment brings it about. */
  readonly times?: number
  /** It changes the deployment for good: each experiment has one of its own. */
  readonly isFinal?: boolean
  /** It cannot be brought about here. */
  readonly skip?: boolean
}

/** The longest trial: a fault, its healing, and the return to the baseline. */
const TRIAL_MS = 90_000
/** So many experiments share a deployment, whose processes would otherwise be started for each. */
const EXPERIMENTS = 20

/**
 * A row of what Jobcast survives: brings about the fault in `inject`, then holds everything to the invariants.
 * Rows of one file run at the same time, since they mostly wait.
 */
export function faultTest(fault: string, options: FaultOptions, inject: (lab: Lab) => Promise<void>): void {
  const { times = 1 } = options
  for (const engine of options.on) {
    const repetitions = repetitionsOf(fault, engine, options.soak)
    test
      .skipIf(options.skip === true || repetitions === 0)
      .concurrent(
        `${fault} (${engine})`,
        { timeout: within(TRIAL_MS) * repetitions * Math.ceil(times / 10) },
        async () => {
          const failures: unknown[] = []
          let deployment: Deployment | null = null
          for (let repetition = 1; repetition <= repetitions; repetition += 1) {
            deployment ??= await Deployment.open(engine, options)
            const isLast =
              options.isFinal === true || repetition === repetitions || repetition % EXPERIMENTS === 0
            const { failure, findings } = await experiment(deployment, options, inject, isLast)
            noteTrial({ fault, engine, times, failure: failure && String(failure.error), ...findings })
            if (failure !== null) failures.push(failure.error)
            else if (!isLast) continue
            await deployment.close()
            deployment = null
          }
          if (failures.length > 0) throw failures[0]
        },
      )
  }
}

/** `isLast`: no other follows on this deployment. */
async function experiment(
  deployment: Deployment,
  options: AftermathOptions,
  inject: (lab: Lab) => Promise<void>,
  isLast: boolean,
): Promise<{ failure: { readonly error: unknown } | null; findings: Findings }> {
  const lab = new Lab(deployment, options)
  let failure: { readonly error: unknown } | null = null
  try {
    await inject(lab)
    await lab.verify({ last: isLast })
    await (isLast ? deployment.stop() : deployment.rest())
  } catch (error) {
    failure = { error }
  }
  await lab.close()
  return { failure, findings: lab.findings() }
}
