import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { freePort } from '../helpers/free-port.ts'
import { Example, type Running } from './harness/example.ts'
import { visit } from './harness/page.ts'

let example: Example
let browser: Browser
let app: Running
let url: string
beforeAll(async () => {
  example = await Example.install('express')
  browser = await openBrowser()
  const port = String(await freePort())
  app = await example.start(['node', 'main.js'], { env: { PORT: port }, ready: /http:\S+/ })
  url = `http://localhost:${port}`
})
afterAll(async () => {
  await browser?.close()
  await example?.remove()
})

test('its types hold', async () => {
  await example.run(['npm', 'run', 'check'])
})

test('a page watches the report of whoever is signed in, over a WebSocket of the app', async () => {
  const { page, problems, sockets, frames, close } = await visit(browser, url)
  await page.getByRole('button', { name: 'Make my report' }).click()
  await page.getByText(/^\w{3} 2026$/).waitFor()
  expect(await page.getByRole('row').count()).toBe(0)
  await page.getByText('completed').waitFor()
  expect(await page.getByRole('row').count()).toBe(12)
  expect(sockets.map((address) => new URL(address).pathname)).toEqual(['/jobs/ws'])
  expect(frames.some((frame) => frame.includes('"op":"event"'))).toBe(true)
  expect(problems).toEqual([])
  await close()
})

async function signIn(name: string): Promise<{ cookie: string }> {
  const answer = await post('/sign-in', {}, { name })
  return { cookie: answer.headers.getSetCookie()[0]?.split(';')[0] ?? '' }
}

function post(path: string, headers: Record<string, string>, body = {}): Promise<Response> {
  return fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

test('everybody sees what is theirs, and who keeps the shop sees all of it', async () => {
  expect((await post('/reports', {})).status).toBe(401)
  const anna = await signIn('anna')
  const mine = await (await post('/reports', anna)).json()
  const other = await (await post('/reports', await signIn('ben'))).json()
  const read = async (path: string, headers: Record<string, string>) =>
    (await fetch(`${url}/jobs/api/jobs${path}`, { headers })).status
  const token = { authorization: `Bearer ${mine.token}` }
  expect(await read(`/${mine.jobId}`, token)).toBe(200)
  expect(await read(`/${other.jobId}`, token)).toBe(404)
  expect(await read(`/${mine.jobId}`, anna)).toBe(401)
  expect(await read('', anna)).toBe(401)
  expect(await read('', await signIn('admin'))).toBe(200)
})

test('it ends when it is told to', async () => {
  expect(await app.stop()).toBe(0)
})
