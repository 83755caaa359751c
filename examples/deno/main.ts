import { createJobServer } from 'jobcast'
import { jobs } from './jobs.ts'

const jobServer = createJobServer({ jobs, basePath: '/jobs' })
const page = await Deno.readTextFile(new URL('./index.html', import.meta.url))

const port = Number(Deno.env.get('PORT') ?? 3000)
const server = Deno.serve({ hostname: '127.0.0.1', port }, (request) => {
  const { pathname } = new URL(request.url)
  if (pathname === '/') return new Response(page, { headers: { 'Content-Type': 'text/html; charset=utf-8' } })
  // It answers 404 to what is not its own.
  return jobServer.fetch(request)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  Deno.addSignalListener(signal, async () => {
    const served = server.shutdown()
    await jobServer.stop()
    await served
    Deno.exit()
  })
