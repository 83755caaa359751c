import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { bundleSdk } from '../helpers/sdk-page.ts'

/**
 * What a page loads before it can watch a job, and what it loads then to share its connection; bytes, gzipped. A fifth of the
 * first is for what goes wrong elsewhere: calls that are mistakes, values that JSON would lose, history that is gone, clocks
 * that are wrong, transports that do not hold.
 */
const AT_ONCE = 17_100
const TO_SHARE = 4500

test('the SDK stays small', async () => {
  const files = await bundleSdk()
  const sizes = new Map([...files].map(([name, code]) => [name, gzipSync(code).length]))
  const toShare = sizes.get('tab.js') ?? 0
  const atOnce = [...sizes.values()].reduce((sum, size) => sum + size, -toShare)
  expect(toShare).toBeGreaterThan(0)
  expect(toShare).toBeLessThan(TO_SHARE)
  expect(atOnce).toBeLessThan(AT_ONCE)
})
