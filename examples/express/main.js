import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { createJobServer } from 'jobcast'
import { jobs } from './jobs.js'

/**
 * Who is signed in, by the value of the cookie `session`. Yours are in a database.
 * @type {Map<string, { name: string, isAdmin: boolean }>}
 */
const sessions = new Map()

/** @param {string | null | undefined} cookies */
function userOf(cookies) {
  return sessions.get(/(?:^|; )session=([\w-]+)/.exec(cookies ?? '')?.[1] ?? '') ?? null
}

const jobServer = createJobServer({
  jobs,
  basePath: '/jobs',
  // Asked about every call that brings no token of a job. Only those who keep the shop see all jobs, and the page at /jobs/.
  authorize(request) {
    const user = userOf(request.headers.get('cookie'))
    return user?.isAdmin ? { role: 'admin', name: user.name } : null
  },
})

const app = express()
app.use(jobServer.handler)
app.use(express.json())
app.use(express.static('public'))
// The client of Jobcast for the page, which has no bundler.
app.use('/sdk', express.static(fileURLToPath(new URL('..', import.meta.resolve('jobcast/client')))))

app.post('/sign-in', (request, response) => {
  const { name } = request.body
  const session = randomUUID()
  sessions.set(session, { name, isAdmin: name === 'admin' })
  response.cookie('session', session, { httpOnly: true, sameSite: 'lax' }).json({ name })
})

app.post('/reports', async (request, response) => {
  const user = userOf(request.headers.cookie)
  if (user === null) return response.status(401).json({ error: 'sign in first' })
  const { jobId } = await jobServer.client.submit({
    type: 'report',
    payload: { user: user.name, year: 2026 },
  })
  // Whoever has this token may watch this one job, and no other.
  response.status(202).json({ jobId, token: await jobServer.token({ jobId, rights: 'watch' }) })
})

const port = Number(process.env.PORT ?? 3000)
const server = app.listen(port, () => console.log(`http://localhost:${port}`))
server.on('upgrade', (request, socket, head) => {
  if (!jobServer.upgrade(request, socket, head)) socket.destroy()
})

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    server.close()
    await jobServer.stop()
    process.exit()
  })
