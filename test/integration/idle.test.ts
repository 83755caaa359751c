import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { submit, untilTerminal } from '../helpers/api.ts'
import { startRedis } from '../helpers/redis.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'

const JOBS = fileURLToPath(new URL('../helpers/many-jobs.mjs', import.meta.url))
const TYPES = 500
const REST_MS = 3000
/** Longer than anything rests but for a wait that goes on. */
const MEASURED_MS = 16_000
/** What INFO counts, a second and a process. It is 0.8 over a long time; a short one may have one look more. */
const MOST_COMMANDS = 1.2
/**
 * Of a core. It is a twentieth of that; the kernel counts in steps of 10 ms, collections come when they come, and of a core that is
 * shared everything takes more.
 */
const MOST_CPU = 0.02

/** CPU that a process has used so far, in ms. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

test('processes that do nothing cost next to nothing, however many types they have', {
  timeout: 90_000,
}, async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  const client = new Redis(redis.url)
  onTestFinished(() => client.disconnect())
  const env = { REDIS_URL: redis.url, JOBCAST_JOBS: JOBS, MANY_JOBS: String(TYPES) }
  const start = async (role: string): Promise<ServerProcess> => {
    const server = await startServer({ ...env, JOBCAST_ROLE: role })
    onTestFinished(() => server.kill())
    return server
  }
  const processes = [await start('api'), await start('worker')] as const
  const { jobId } = await submit(processes[0].url, { type: `type-${TYPES - 1}`, payload: {} })
  await untilTerminal(processes[0].url, jobId)

  const commands = async () => Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))?.[1])
  const cpu = () => processes.map(({ pid }) => cpuMs(pid))
  // What the job has brought about is over by then, but for what the worker tells of its rate, which falls for a minute.
  await pause(REST_MS)
  const before = { commands: await commands(), cpu: cpu() }
  const began = performance.now()
  await pause(MEASURED_MS)
  const seconds = (performance.now() - began) / 1000
  // Of INFO itself each look counts one.
  const sent = (await commands()) - before.commands - 1
  expect(sent / seconds / processes.length).toBeLessThan(MOST_COMMANDS)
  for (const [at, used] of cpu().entries()) {
    expect((used - (before.cpu[at] ?? 0)) / MEASURED_MS).toBeLessThan(MOST_CPU)
  }
})
