import { describe, expect } from 'vitest'
import { NewerWords } from '../../server/engine/job/newer-words.ts'
import { decodeMessage } from '../../server/engine/redis/codec.ts'
import { isTerminal } from '../../shared/status.ts'
import type { PassingMessage } from '../helpers/redis-proxy.ts'
import { faultTest } from './harness/fault-test.ts'
import type { Lab } from './harness/lab.ts'

const ON_REDIS = { on: ['redis'], redis: { proxied: true } } as const
const LONG = { type: 'steps', payload: { steps: 30, stepMs: 40 } }

const isForWatchers = ({ channel }: PassingMessage) => channel.includes(':watch:')

/** The terminal event of a job, or word of it. */
function isLast({ text }: PassingMessage): boolean {
  const message = decodeMessage(text, new NewerWords())
  if (message.kind !== 'event' || message.event.kind !== 'status') return false
  const { status } = message.event.data
  return status !== undefined && isTerminal(status)
}

/** Ten jobs under a feed that is disturbed; how many messages were. */
async function runDisturbed(
  lab: Lab,
  disturb: (message: PassingMessage, number: number, deliver: () => void) => void,
): Promise<number> {
  await lab.start({ all: 2 })
  let messages = 0
  lab.redis.proxy.disturb = (message, deliver) => {
    if (!isForWatchers(message)) {
      deliver()
      return
    }
    messages += 1
    disturb(message, messages, deliver)
  }
  const jobIds = await lab.submitMany(10, LONG)
  for (const jobId of jobIds) await lab.untilEnded(jobId)
  lab.over()
  return messages
}

describe('published messages', () => {
  faultTest('every fifth message is lost', ON_REDIS, async (lab) => {
    const lost = await runDisturbed(lab, (_message, number, deliver) => {
      if (number % 5 !== 0) deliver()
    })
    expect(lost).toBeGreaterThan(100)
  })

  faultTest('every message comes twice', ON_REDIS, async (lab) => {
    await runDisturbed(lab, (_message, _number, deliver) => {
      deliver()
      deliver()
    })
  })

  faultTest('every third message is 300 ms late', ON_REDIS, async (lab) => {
    await runDisturbed(lab, (_message, number, deliver) => {
      if (number % 3 === 0) setTimeout(deliver, 300)
      else deliver()
    })
  })

  faultTest('the last message of every job is lost', ON_REDIS, async (lab) => {
    let lost = 0
    await runDisturbed(lab, (message, _number, deliver) => {
      if (isLast(message)) lost += 1
      else deliver()
    })
    expect(lost).toBeGreaterThanOrEqual(10)
  })

  faultTest('nothing that is published arrives', { ...ON_REDIS, soak: 50 }, async (lab) => {
    await lab.start({ all: 2 })
    lab.redis.proxy.disturb = () => {}
    lab.over()
    await lab.submitMany(10, LONG)
  })
})
