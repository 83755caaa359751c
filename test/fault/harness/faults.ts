import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import { until } from '../../helpers/until.ts'
import type { Lab } from './lab.ts'
import { within } from './within.ts'

/** Does something again and again, until it is stopped. */
export function every(ms: number, act: () => Promise<unknown>): { stop(): Promise<void> } {
  let isOn = true
  const ended = (async () => {
    while (isOn) {
      await act().catch(() => {})
      await pause(ms)
    }
  })()
  return {
    stop() {
      isOn = false
      return ended
    },
  }
}

/** Waits until so many more submissions of the load are accepted, or refused. */
export async function untilMore(lab: Lab, what: 'accepted' | 'refusals', count = 10): Promise<void> {
  const { ledger } = lab
  const before = ledger[what].length
  const isEnough = () => {
    if (ledger[what].length >= before + count) return true
    const last = JSON.stringify([ledger.refusals.at(-1), ledger.breaches.at(-1)])
    throw new Error(`${ledger.accepted.length} accepted, ${ledger.refusals.length} refused: ${last}`)
  }
  await until(isEnough, { timeoutMs: within(15_000), what: `${count} more ${what}` })
}

/** Every call that needs the store is to be refused within two seconds while it is away. */
export function expectQuickRefusals(lab: Lab): void {
  expect(Math.max(0, ...lab.ledger.refusals.map(({ ms }) => ms))).toBeLessThan(within(2000))
}

/** `/readyz` says why the process is not ready, at the latest when it has tried again; it lives all the same. */
export async function expectUnready(lab: Lab, why: RegExp): Promise<void> {
  const told = async () => {
    const { status, body } = await lab.get('/readyz')
    const { code, detail } = body as { code?: string; detail?: string }
    if (status === 503 && code === 'unavailable' && why.test(detail ?? '')) return true
    throw new Error(`it says ${status} ${code} ${detail}`)
  }
  await until(told, { what: `/readyz to say ${why}` })
  expect((await lab.get('/healthz')).status).toBe(200)
}
