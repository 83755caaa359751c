import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { launchProgram, stop } from './child.mjs'

/**
 * Starts a redis-server of the measurement's own on a free port, with Redis' default settings but for what would
 * write to the disk while something else is measured.
 */
export async function startRedis(args = []) {
  const port = await freePort()
  const dir = await mkdtemp(join(tmpdir(), 'jobcast-bench-'))
  const server = launchProgram(process.env.REDIS_SERVER_BIN ?? 'redis-server', [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no'],
    ...args,
  ])
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => 20 })
  client.on('error', () => {})
  await client.ping()
  const info = async (section, field) => {
    const text = await client.info(section)
    return new RegExp(`^${field}:(\\S+)`, 'm').exec(text)?.[1] ?? ''
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    host: '127.0.0.1',
    port,
    pid: server.pid,
    client,
    version: () => info('server', 'redis_version'),
    /** CPU used so far by the server, in ms. */
    cpuMs: async () =>
      1000 * (Number(await info('cpu', 'used_cpu_sys')) + Number(await info('cpu', 'used_cpu_user'))),
    /** Bytes that the data take, with all that Redis needs to keep them. */
    usedBytes: async () => Number(await info('memory', 'used_memory')),
    flush: () => client.flushall(),
    stop: async () => {
      client.disconnect()
      await stop(server)
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** A port that nobody listens on at this moment. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}
