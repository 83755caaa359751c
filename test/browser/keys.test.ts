import { expect, onTestFinished, test } from 'vitest'
import { pageTests, status, violations } from '../helpers/page.ts'
import { dataFolder, SAMPLES, startServer } from '../helpers/server.ts'

const { visit } = pageTests()

test('a server with API keys asks for one, and forgets it on signing out', async () => {
  const data = await dataFolder()
  const own = await startServer({
    JOBCAST_DATA: data.path,
    ...SAMPLES,
    JOBCAST_API_KEYS: 'me:admin:a-long-enough-secret-key-0',
  })
  onTestFinished(async () => {
    await own.stop()
    await data.remove()
  })
  const page = await visit({ url: own.url, callsMayFail: true })
  const key = page.getByRole('textbox', { name: 'API key' })
  await key.fill('a-wrong-key')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('The server does not know this key').waitFor()
  expect(await violations(page)).toEqual([])
  await key.fill('a-long-enough-secret-key-0')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'No jobs yet' }).waitFor()

  await page.getByRole('tab', { name: 'Countdown' }).click()
  await page.getByLabel('Steps').fill('2')
  await page.getByRole('button', { name: 'Start counting' }).click()
  await status(page, 'Completed')
  expect(await page.content()).not.toContain('a-long-enough-secret-key-0')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'This server wants an API key' }).waitFor()
})
