import { createJobServer } from 'jobcast'
import page from './index.html'
import { jobs } from './jobs.ts'

const jobServer = createJobServer({ jobs, basePath: '/jobs' })

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env.PORT ?? 3000),
  // Bun would cut off a stream that says nothing for ten seconds; Jobcast says something every fifteen.
  idleTimeout: 30,
  routes: {
    '/': page,
    '/jobs': (request) => jobServer.fetch(request),
    '/jobs/*': (request) => jobServer.fetch(request),
  },
})
console.log(`${server.url}`)

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    await server.stop()
    await jobServer.stop()
    process.exit()
  })
