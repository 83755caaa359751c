import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { freePort } from '../helpers/free-port.ts'
import { until } from '../helpers/until.ts'
import { Example } from './harness/example.ts'
import { startJobcast } from './harness/jobcast.ts'
import { visit } from './harness/page.ts'
import { installTool, type Tool } from './harness/tool.ts'

const VITE = 'node_modules/vite/bin/vite.js'
const REACT_18 = {
  react: '^18.3.1',
  'react-dom': '^18.3.1',
  '@types/react': '^18.3.0',
  '@types/react-dom': '^18.3.0',
}

let browser: Browser
beforeAll(async () => {
  browser = await openBrowser()
})
afterAll(() => browser?.close())

describe.each([
  { react: 19, manager: 'npm', versions: {} },
  { react: 18, manager: 'pnpm', versions: REACT_18 },
] as const)('with React $react, installed by $manager', ({ react, manager, versions }) => {
  let tool: Tool | undefined
  let example: Example
  beforeAll(async () => {
    if (manager === 'pnpm') tool = await installTool('pnpm')
    example = await Example.install('vite-react', { manager, versions, ...(tool && { env: tool.env }) })
  })
  afterAll(async () => {
    await example?.remove()
    await tool?.remove()
  })

  test('it builds, and a wrong payload does not', async () => {
    const version = await example.run(['node', '-p', 'require("react").version'])
    expect(version.startsWith(`${react}.`)).toBe(true)
    await example.run([manager, 'run', 'build'])
    const wrong = join(example.folder, 'src', 'wrong.ts')
    await writeFile(
      wrong,
      `import { createClient } from 'jobcast/client'
import type { jobs } from './jobs'
const client = createClient<typeof jobs>()
void client.submit({ type: 'answer', payload: { question: 'why?' } })
void client.submit({ type: 'answer', payload: { question: 5 } })`,
    )
    await expect(example.run([manager, 'run', 'build'])).rejects.toThrow('wrong.ts(5,')
    await rm(wrong)
  })

  test('words come one by one, over a WebSocket through the proxy of Vite, with a clean console', async () => {
    const port = String(await freePort())
    const env = { JOBCAST_URL: await startJobcast(example) }
    await example.start(['node', VITE, '--port', port, '--strictPort'], { env, ready: /Local:/ })
    const { page, problems, sockets, frames, close } = await visit(browser, `http://localhost:${port}`)
    await page.getByRole('button', { name: 'Ask' }).click()
    const answer = page.locator('blockquote')
    const text = async () => (await answer.textContent()) ?? ''
    await until(async () => (await text()).includes('good question'), { what: 'the first words' })
    expect(await text()).not.toContain('moment')
    await page.getByRole('progressbar', { name: 'Answer' }).waitFor()
    await page.getByText('Done').waitFor()
    expect(await text()).toMatch(/^“Why is the sky blue\?” is .* the moment it was there\.$/)
    expect(sockets.some((url) => url.endsWith('/jobcast/ws'))).toBe(true)
    expect(frames.some((frame) => frame.includes('"op":"event"'))).toBe(true)

    await page.getByRole('button', { name: 'Ask' }).click()
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByText('Cancelled').waitFor()
    expect(problems).toEqual([])
    await close()
  })
})
