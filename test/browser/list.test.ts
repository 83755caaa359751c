import { describe, expect, test } from 'vitest'
import { pageTests, recordProgress, status } from '../helpers/page.ts'

const { url, visit, submit } = pageTests()

describe('the list', () => {
  test('shows new jobs live and is narrowed through its address', async () => {
    const page = await visit({ url: `${url()}/?type=countdown&status=processing` })
    const jobId = await submit('countdown', { steps: 300, stepMs: 300 })
    const row = page.locator(`a[href="/jobs/${jobId}"]`)
    const progress = await recordProgress(page)
    await row.waitFor()
    await expect.poll(async () => (await progress()).length).toBeGreaterThan(2)
    await page.getByRole('button', { name: /^Processing/, pressed: true }).click()
    await page.waitForURL('**/?type=countdown')
    await page.getByRole('button', { name: /^Failed/ }).click()
    await page.waitForURL('**/?type=countdown&status=failed')
    await row.waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'All', exact: true }).click()
    await row.click()
    await page.waitForURL(`**/jobs/${jobId}`)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await status(page, 'Cancelled')
  })

  test('says that it is live, also where it has no job to watch', async () => {
    const page = await visit({ url: `${url()}/?type=thumbnails` })
    await page.getByRole('status', { name: 'Live over WebSocket' }).waitFor()
    expect(await page.locator('a[href^="/jobs/"]').count()).toBe(0)
  })

  test('moves without asking the server again', async () => {
    const page = await visit({ url: `${url()}/?type=countdown` })
    await page.getByRole('region', { name: 'Jobs' }).waitFor()
    const calls: string[] = []
    page.on('request', (request) => {
      const { pathname, search } = new URL(request.url())
      if (pathname === '/api/jobs') calls.push(search)
    })
    const row = (jobId: string) => page.locator(`a[href="/jobs/${jobId}"]`)
    // From the first one on, the server tells.
    await row(await submit('countdown', { steps: 1, stepMs: 1 })).waitFor()
    calls.length = 0
    const beganAt = performance.now()
    let last = ''
    // Longer than the page would wait to ask again.
    while (performance.now() - beganAt < 7000) {
      last = await submit('countdown', { steps: 1, stepMs: 1 })
      await row(last).waitFor()
    }
    await row(last).getByText('Completed').waitFor()
    await fetch(`${url()}/api/jobs/${last}`, { method: 'DELETE' })
    await row(last).waitFor({ state: 'hidden' })
    expect(calls).toEqual([])
  })

  test('a job that does not exist, an address that does not', async () => {
    const page = await visit({ url: `${url()}/jobs/0199e0c4-9a51-7c1e-8a6b-0d5f0f6a3b11` })
    await page.getByRole('heading', { name: 'There is no such job' }).waitFor()
    await page.goto(`${url()}/nowhere`)
    await page.getByRole('button', { name: 'To the jobs' }).click()
    await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor()
  })

  test('says so while the server cannot be reached, and recovers', async () => {
    const page = await visit({ callsMayFail: true })
    await page.routeWebSocket('**/ws', (socket) => socket.close())
    await page.route('**/api/**', (route) => route.abort())
    await page.reload()
    await page.getByRole('heading', { name: 'The server cannot be reached' }).waitFor()
    // The socket stays away: it would have the list told again before anybody has pressed a button.
    await page.unroute('**/api/**')
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('heading', { name: 'The server cannot be reached' }).waitFor({ state: 'hidden' })
  })
})

test('the overview pauses and resumes a type', async () => {
  const page = await visit({ url: `${url()}/overview` })
  await page.getByText('on the embedded SQLite engine').waitFor()
  const paused = page.getByRole('switch', { name: 'Start jobs of type thumbnails' })
  await paused.click({ force: true })
  await page.getByText('Paused').waitFor()
  await paused.click({ force: true })
  await page.getByText('Paused').waitFor({ state: 'hidden' })
})
