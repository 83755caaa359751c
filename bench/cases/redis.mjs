import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { startRedis } from '../harness/redis.mjs'

const COMMANDS = 100_000
const CLIENTS = 50
const PIPELINE = 16
/** Beside the server, wherever that is. */
const BENCHMARK = (process.env.REDIS_SERVER_BIN ?? 'redis-server').replace(/redis-server$/, 'redis-benchmark')

/** What Redis does on this machine when nothing but Redis is measured: the limits that all of the above live with. */
export default {
  name: 'redis',
  order: 9,
  rounds: 3,
  title: 'Redis alone, asked by redis-benchmark, 50 clients',
  setUp: async () => {
    const redis = await startRedis()
    return { redis, tearDown: () => redis.stop() }
  },
  contenders: {
    'redis-benchmark': async ({ redis }) => {
      const empty = ['EVALSHA', await redis.client.script('LOAD', 'return 1'), '0']
      const set = ['SET', 'key', 'value']
      return {
        set: await rate(redis, 1, set),
        'set piped': await rate(redis, PIPELINE, set),
        script: await rate(redis, 1, empty),
        'script piped': await rate(redis, PIPELINE, empty),
      }
    },
  },
  figures: [
    { id: 'set', what: 'SET', unit: 'calls/s' },
    { id: 'set piped', what: `SET, ${PIPELINE} at once`, unit: 'calls/s' },
    { id: 'script', what: 'an empty EVALSHA', unit: 'calls/s' },
    { id: 'script piped', what: `an empty EVALSHA, ${PIPELINE} at once`, unit: 'calls/s' },
  ],
}

/** Calls a second, from the second column of what redis-benchmark prints. */
async function rate({ port }, pipeline, command) {
  const options = ['-p', port, '-n', COMMANDS, '-c', CLIENTS, '-P', pipeline, '--csv'].map(String)
  const { stdout } = await promisify(execFile)(BENCHMARK, [...options, ...command])
  const line = stdout.trim().split('\n').at(-1) ?? ''
  return Number(line.split('","')[1])
}
