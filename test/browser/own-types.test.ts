import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { overflow, pageTests, status, violations } from '../helpers/page.ts'
import { dataFolder, SAMPLES, startServer } from '../helpers/server.ts'

const TYPED_JOBS = { JOBCAST_JOBS: fileURLToPath(new URL('../helpers/typed-jobs.mjs', import.meta.url)) }

const { url, visit } = pageTests(TYPED_JOBS)

async function own(env: Record<string, string>): Promise<string> {
  const data = await dataFolder()
  const server = await startServer({ JOBCAST_DATA: data.path, ...env })
  onTestFinished(async () => {
    await server.stop()
    await data.remove()
  })
  return server.url
}

describe('types of one’s own', () => {
  test('any of them is submitted as JSON, which begins with what its schema asks for', async () => {
    const page = await visit({ callsMayFail: true })
    const form = page.getByRole('region', { name: 'New job' })
    expect(await form.getByRole('tab').count()).toBe(0)
    await form.getByLabel('Type').click()
    await page.getByRole('option', { name: 'letter' }).click()
    const payload = form.getByRole('textbox', { name: 'Payload' })
    const draft = { to: [''], subject: '', priority: 'normal' }
    await expect.poll(async () => JSON.parse(await payload.inputValue())).toEqual(draft)
    await form.getByText('What it takes').click()
    await form.getByRole('group', { name: 'schema of the payload' }).getByText('"copies"').waitFor()

    await form.getByRole('button', { name: 'Submit' }).click()
    for (const path of ['to.0', 'subject'])
      await form.locator('code').getByText(path, { exact: true }).waitFor()
    expect(await violations(page)).toEqual([])

    await payload.fill('{ "subject": ')
    await form.getByRole('button', { name: 'Submit' }).click()
    await form.getByText('This is no JSON: ').waitFor()
    expect(await form.locator('code').count()).toBe(0)

    await payload.fill('{ "to": ["a@example.com"], "subject": "Hello" }')
    await form.getByRole('button', { name: 'Submit' }).click()
    await page.waitForURL('**/jobs/*')
    await status(page, 'Completed')
    await page.getByRole('group', { name: 'result' }).getByText('"Hello"').waitFor()

    await page.getByRole('link', { name: 'All jobs' }).click()
    await expect.poll(() => payload.inputValue()).toContain('a@example.com')
  })

  test('says what keeps jobs of a type from starting', async () => {
    await fetch(`${url()}/api/types/anything/pause`, { method: 'POST' })
    const page = await visit()
    await page.getByText('It is paused: the job waits until it is resumed.').waitFor()
    await page.getByText('This type takes any JSON.').waitFor()
    await fetch(`${url()}/api/types/anything/resume`, { method: 'POST' })
    await page.getByText('It is paused').waitFor({ state: 'hidden' })
  })

  test.each([
    ['dark', 360, TYPED_JOBS],
    ['light', 1280, TYPED_JOBS],
    ['light', 360, {}],
    ['dark', 1280, {}],
  ] as const)('%s at %d px, %j: accessible, and nothing sticks out', async (colorScheme, width, env) => {
    const page = await visit({ url: await own(env), colorScheme, viewport: { width, height: 800 } })
    await page.getByRole('region', { name: 'New job' }).locator('form, pre').first().waitFor()
    await page.getByRole('heading', { name: 'No jobs yet' }).waitFor()
    expect(await violations(page)).toEqual([])
    expect(await overflow(page)).toBeLessThanOrEqual(0)
  })

  test('without any, the page says how to come by one', async () => {
    const page = await visit({ url: await own({}) })
    await page.getByRole('heading', { name: 'No job types yet' }).waitFor()
    await page.getByText('npx jobcast dev jobs.mjs').waitFor()
    expect(await page.locator('form').count()).toBe(0)
  })

  test('samples have forms of their own', async () => {
    const page = await visit({ url: await own(SAMPLES) })
    const form = page.getByRole('region', { name: 'New job' })
    await form.getByRole('tab', { name: 'Thumbnails', selected: true }).waitFor()
    expect(await form.getByRole('tab').allInnerTexts()).toEqual(['Thumbnails', 'Render', 'Countdown'])
  })
})
