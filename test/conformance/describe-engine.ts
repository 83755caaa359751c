import { describe, expect, test } from 'vitest'
import { ALLOWED, type Coverage } from './audit.ts'
import { cancelCases } from './cases/cancel.ts'
import { claimCases } from './cases/claim.ts'
import { dataCases } from './cases/data.ts'
import { feedCases } from './cases/feed.ts'
import { idempotencyCases } from './cases/idempotency.ts'
import { leaseCases } from './cases/lease.ts'
import { listCases } from './cases/list.ts'
import { placeCases } from './cases/places.ts'
import { registryCases } from './cases/registry.ts'
import { reportCases } from './cases/report.ts'
import { retryCases } from './cases/retry.ts'
import { settleCases } from './cases/settle.ts'
import { submitCases } from './cases/submit.ts'
import { submittedCases } from './cases/submitted.ts'
import { upkeepCases } from './cases/upkeep.ts'
import { waitCases } from './cases/wait.ts'
import { watchCases } from './cases/watch.ts'
import { engineTest, type Open } from './harness.ts'

/** The contract of `Engine` as cases; every engine passes all of them. */
export function describeEngine(name: string, open: Open): void {
  describe(`the ${name} engine`, () => {
    const coverage: Coverage = new Set()
    const it = engineTest(open, coverage)
    submitCases(it)
    idempotencyCases(it)
    listCases(it)
    claimCases(it)
    leaseCases(it)
    waitCases(it)
    reportCases(it)
    settleCases(it)
    cancelCases(it)
    retryCases(it)
    upkeepCases(it)
    feedCases(it)
    placeCases(it)
    watchCases(it)
    submittedCases(it)
    dataCases(it)
    registryCases(it)

    test('made every transition of the table in these cases, and no other', () => {
      expect([...coverage].sort()).toEqual([...ALLOWED].sort())
    })
  })
}
