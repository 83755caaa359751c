import { expect, onTestFinished, test } from 'vitest'
import type { Engine } from '../../server/engine/engine.ts'
import { OutcomeUnknown, Unavailable } from '../../server/engine/errors.ts'
import { createEvents } from '../../server/events.ts'
import { PresenceBoard } from '../../server/presence.ts'

async function failuresOf(error: Error): Promise<unknown[]> {
  const events = createEvents()
  const failures: unknown[] = []
  events.on('failure', (failure) => failures.push(failure.error))
  const engine: Pick<Engine, 'announce' | 'withdraw'> = {
    announce: () => Promise.reject(error),
    withdraw: () => Promise.resolve(),
  }
  const describe = () => [{ id: 'w-1', role: 'worker', info: {} }] as const
  const board = new PresenceBoard({ engine, events, describe })
  onTestFinished(() => board.stop())
  await board.start()
  return failures
}

test('a store that is away, or whose answer is lost, is nothing that nobody foresaw', async () => {
  expect(await failuresOf(new Unavailable('away'))).toEqual([])
  expect(await failuresOf(new OutcomeUnknown('the answer was lost', []))).toEqual([])
})

test('anything else is', async () => {
  const error = new TypeError('a mistake')
  expect(await failuresOf(error)).toEqual([error])
})
