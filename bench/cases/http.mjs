import { cpuMs, startContender, startJobcast } from '../harness/child.mjs'
import { startRedis } from '../harness/redis.mjs'

const CONNECTIONS = 100
const BATCH = 100
const MAIL_JOBS = new URL('../contenders/mail-jobs.mjs', import.meta.url).pathname
const SUBMISSION = {
  type: 'mail',
  payload: {
    to: 'ada@example.com',
    subject: 'Your receipt of November',
    template: 'receipt',
    userId: 421_337,
  },
}
const LOADS = {
  single: { path: '/api/jobs', body: JSON.stringify(SUBMISSION), warmUpMs: 2500, ms: 1500 },
  batch: {
    path: '/api/jobs/batch',
    body: JSON.stringify({ jobs: Array.from({ length: BATCH }, () => SUBMISSION) }),
    warmUpMs: 1500,
    ms: 1300,
  },
}

/** Jobs handed in over HTTP, which nobody runs. The bare app is the limit: it checks the same and stores nothing. */
export default {
  name: 'http',
  order: 4,
  title: `Jobs submitted over HTTP to one process, ${CONNECTIONS} connections, Redis engine`,
  setUp: async () => {
    const redis = await startRedis()
    const generator = await startContender('http-load.mjs')
    const servers = {
      jobcast: await startJobcast({
        REDIS_URL: redis.url,
        JOBCAST_ROLE: 'api',
        JOBCAST_JOBS: MAIL_JOBS,
        PORT: 0,
      }),
      'hono + bullmq': await startContender('hono-bullmq-server.mjs', { REDIS_PORT: redis.port }),
      'hono alone': await startContender('hono-server.mjs'),
    }
    const shared = { redis, generator, servers }
    for (const name of Object.keys(servers)) {
      for (const load of Object.values(LOADS)) await run(shared, name, load, load.warmUpMs)
    }
    return {
      ...shared,
      tearDown: async () => {
        await Promise.all([generator, ...Object.values(servers)].map((one) => one.stop()))
        await redis.stop()
      },
    }
  },
  contenders: {
    jobcast: (shared) => atEveryLoad(shared, 'jobcast'),
    'hono + bullmq': (shared) => atEveryLoad(shared, 'hono + bullmq'),
    'hono alone': (shared) => atEveryLoad(shared, 'hono alone'),
  },
  figures: [
    {
      id: 'single',
      what: 'one job a request',
      unit: 'jobs/s',
      targets: [{ to: 'hono + bullmq', atLeast: 1.5 }],
    },
    {
      id: 'batch',
      what: `${BATCH} jobs a request`,
      unit: 'jobs/s',
      targets: [{ to: 'hono + bullmq', atLeast: 4 }],
    },
    { id: 'single cpu', what: 'CPU of the server, one job a request', unit: 'µs a job' },
    { id: 'batch cpu', what: `CPU of the server, ${BATCH} jobs a request`, unit: 'µs a job' },
    { id: 'single generator', what: 'CPU of the generator, one job a request', unit: 'µs a job' },
    { id: 'single busy', what: 'server busy, one job a request', unit: 'cores' },
    { id: 'batch busy', what: `server busy, ${BATCH} jobs a request`, unit: 'cores' },
  ],
}

async function atEveryLoad(shared, name) {
  const single = await run(shared, name, LOADS.single, LOADS.single.ms)
  const batch = await run(shared, name, LOADS.batch, LOADS.batch.ms)
  const batchJobs = batch.answers * BATCH
  return {
    single: (1000 * single.answers) / single.ms,
    batch: (1000 * batchJobs) / batch.ms,
    'single cpu': (1000 * single.serverMs) / single.answers,
    'batch cpu': (1000 * batch.serverMs) / batchJobs,
    'single generator': (1000 * single.cpuMs) / single.answers,
    'single busy': single.serverMs / single.ms,
    'batch busy': batch.serverMs / batch.ms,
  }
}

async function run({ redis, generator, servers }, name, { path, body }, ms) {
  const server = servers[name]
  const port = server.url === undefined ? await server.call('port') : Number(new URL(server.url).port)
  await redis.flush()
  const before = cpuMs(server.pid)
  const load = await generator.call('load', { port, path, body, status: 202, connections: CONNECTIONS, ms })
  return { ...load, serverMs: cpuMs(server.pid) - before }
}
