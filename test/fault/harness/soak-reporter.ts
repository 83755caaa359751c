import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'
import { renderTable } from './table.ts'

/** Prints what a soak run found (`npm run test:soak`), and writes it where `JOBCAST_SOAK_TABLE` says. */
export default class SoakReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const trials = modules.flatMap(({ children }) =>
      [...children.allTests()].flatMap((test) => test.meta().trials ?? []),
    )
    const table = renderTable(trials)
    process.stdout.write(`\n${table}`)
    const path = process.env.JOBCAST_SOAK_TABLE
    if (path) writeFileSync(path, table)
  }
}
