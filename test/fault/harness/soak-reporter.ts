import type { Reporter } from 'vitest/node'
import { renderTable } from './table.ts'
import { readTrials } from './trial.ts'

/** Prints what a soak run found (`npm run test:soak`). */
export default class SoakReporter implements Reporter {
  onTestRunEnd(): void {
    process.stdout.write(`\n${renderTable(readTrials())}`)
  }
}
