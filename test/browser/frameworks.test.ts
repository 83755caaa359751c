import type { Browser } from 'playwright-core'
import { compile } from 'svelte/compiler'
import type { PluginOption } from 'vite'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openBrowser } from '../helpers/browser.ts'
import { HELD_JOBS, openHold } from '../helpers/line.ts'
import { dataFolder, type ServerProcess, startServer } from '../helpers/server.ts'
import { serveApp } from '../helpers/user-app.ts'

let browser: Browser
let server: ServerProcess

beforeAll(async () => {
  const data = await dataFolder()
  ;[browser, server] = await Promise.all([
    openBrowser(),
    startServer({ JOBCAST_DATA: data.path, ...HELD_JOBS }),
  ])
  return async () => {
    await server.stop()
    await data.remove()
  }
})

afterAll(async () => {
  await browser?.close()
})

const svelte: PluginOption = {
  name: 'svelte',
  transform: (code, id) =>
    id.endsWith('.svelte') ? compile(code, { filename: id, generate: 'client' }).js.code : null,
}

const INDEX = '<div id="root"></div><script type="module" src="/main.js"></script>'

/** A page that starts a job at a click, shows it, and can be closed; written as the framework's users would. */
const APPS = {
  Svelte: {
    plugins: [svelte],
    files: {
      'index.html': INDEX,
      'main.js': `
        import { mount, unmount } from 'svelte'
        import App from './App.svelte'
        const app = mount(App, { target: document.getElementById('root') })
        window.closeApp = () => unmount(app)`,
      'App.svelte': `
        <script>
          import { createClient } from 'jobcast/client'
          import { createJobsStore, createJobStore } from 'jobcast/stores'
          const client = (window.client = createClient())
          const { connection } = client
          const job = createJobStore(client, { type: 'held' })
          const file = decodeURIComponent(location.hash.slice(1))
          const jobs = createJobsStore(client, { limit: 10 })
        </script>
        <button onclick={() => job.startJob({ file, progress: 40 })}>Start</button>
        <output>{$job.status}</output>
        <meter value={$job.progress?.percent ?? 0} max="100"></meter>
        <i>{$jobs.jobs.filter(({ status }) => status === 'completed').length} of {$jobs.jobs.length}</i>
        <b>{$connection.transport}</b>`,
    },
  },
  Vue: {
    plugins: [],
    files: {
      'index.html': INDEX,
      'main.js': `
        import { createApp, defineComponent } from 'vue/dist/vue.esm-bundler.js'
        import { createClient } from 'jobcast/client'
        import { createJobsStore, createJobStore } from 'jobcast/stores'
        import { useStore } from 'jobcast/vue'
        const client = (window.client = createClient())
        const App = defineComponent({
          setup() {
            const job = createJobStore(client, { type: 'held' })
            const start = () => job.startJob({ file: decodeURIComponent(location.hash.slice(1)), progress: 40 })
            const jobs = useStore(createJobsStore(client, { limit: 10 }))
            return { start, job: useStore(job), jobs, connection: useStore(client.connection) }
          },
          template: \`
            <button @click="start">Start</button>
            <output>{{ job.status }}</output>
            <meter :value="job.progress?.percent ?? 0" max="100" />
            <i>{{ jobs.jobs.filter(({ status }) => status === 'completed').length }} of {{ jobs.jobs.length }}</i>
            <b>{{ connection.transport }}</b>\`,
        })
        const app = createApp(App)
        app.mount('#root')
        window.closeApp = () => app.unmount()`,
    },
  },
}

test.each(['Svelte', 'Vue'] as const)('stores are used from %s as they are', async (framework) => {
  const { url } = await serveApp({ ...APPS[framework], server: server.url })
  const page = await browser.newPage()
  onTestFinished(() => page.close())
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
  const { file, letGo } = await openHold()
  await page.goto(`${url}#${encodeURIComponent(file)}`)

  const output = page.locator('output')
  await page.getByText('idle').waitFor()
  const listed = Number((await page.locator('i').innerText()).split(' of ')[1])
  await page.getByRole('button').click()
  await page.getByText('processing').waitFor()
  await page.waitForFunction(() => document.querySelector('meter')?.value === 40)
  expect(await page.locator('b').innerText()).toBe('websocket')
  await letGo()
  await page.getByText('completed').waitFor()
  await page.getByText(`${listed + 1} of ${listed + 1}`).waitFor()
  expect(await output.innerText()).toBe('completed')

  // What is not shown any more is not watched: no connection is left.
  await page.evaluate(() => Reflect.get(window, 'closeApp')())
  await page.waitForFunction(() => Reflect.get(window, 'client').connection.getSnapshot().phase === 'idle')
  expect(problems).toEqual([])
})
