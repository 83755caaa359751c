import { describe, expect, test } from 'vitest'
import { overflow, pageTests, violations } from '../helpers/page.ts'

const { url, visit, submit } = pageTests()

describe('looks', () => {
  test('follows the system’s scheme until another is chosen, and remembers the choice', async () => {
    const page = await visit({ colorScheme: 'dark' })
    const scheme = () => page.evaluate(() => document.documentElement.dataset.mantineColorScheme)
    expect(await scheme()).toBe('dark')
    await page.getByRole('button', { name: 'Switch to the light colour scheme' }).click()
    expect(await scheme()).toBe('light')
    await page.reload()
    expect(await scheme()).toBe('light')
  })

  test.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
    ['dark', 390],
  ] as const)('%s at %d px: accessible, and nothing sticks out', async (colorScheme, width) => {
    const jobId = await submit('countdown', { steps: 3, stepMs: 10, logs: true, chunks: true })
    const page = await visit({ colorScheme, viewport: { width, height: 800 } })
    for (const [path, shown] of [
      ['/', `a[href="/jobs/${jobId}"]`],
      ['/overview', 'table'],
      [`/jobs/${jobId}`, '[data-testid=status][data-status=completed]'],
    ] as const) {
      await page.goto(url() + path)
      await page.locator(shown).first().waitFor()
      expect(await violations(page), path).toEqual([])
      expect(await overflow(page), path).toBeLessThanOrEqual(0)
    }
  })
})
