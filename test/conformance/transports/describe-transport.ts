import { describe } from 'vitest'
import type { Transport } from '../../helpers/subscriber/wires.ts'
import { accessCases } from './cases/access.ts'
import { cursorCases } from './cases/cursor.ts'
import { dataCases } from './cases/data.ts'
import { endingCases } from './cases/ending.ts'
import { liveCases } from './cases/live.ts'
import { transportTest } from './harness.ts'

/**
 * What every way to watch a job must keep, as cases against a server that listens; each transport passes all of them.
 * They run side by side, since they mostly wait.
 */
export function describeTransport(transport: Transport): void {
  describe.concurrent(`watching over ${transport}`, () => {
    const it = transportTest(transport)
    cursorCases(it)
    liveCases(it)
    dataCases(it)
    endingCases(it)
    accessCases(it)
  })
}
