import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createServer, type PluginOption } from 'vite'
import { onTestFinished } from 'vitest'

export interface UserApp {
  readonly url: string
  readonly folder: string
}

/**
 * A user's app under Vite's dev server, which hands calls on to a server of Jobcast. Its libraries are those that can be
 * found from `from`.
 */
export async function serveApp(options: {
  readonly files: Readonly<Record<string, string>>
  readonly plugins: PluginOption[]
  readonly server: string
  readonly from?: string
}): Promise<UserApp> {
  const { files, plugins, server, from = '.' } = options
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-app-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await symlink(resolve(from, 'node_modules'), join(folder, 'node_modules'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const vite = await createServer({
    configFile: false,
    logLevel: 'error',
    root: folder,
    cacheDir: join(folder, '.vite'),
    plugins,
    resolve: {
      dedupe: ['react', 'react-dom', 'vue'],
      alias: {
        'jobcast/client': resolve('client/index.ts'),
        'jobcast/react': resolve('client/react/index.ts'),
        'jobcast/stores': resolve('client/stores/index.ts'),
        'jobcast/vue': resolve('client/vue/index.ts'),
      },
    },
    server: {
      port: 0,
      fs: { strict: false },
      proxy: {
        '/api': { target: server, changeOrigin: false },
        '/ws': { target: server, ws: true },
      },
    },
  })
  onTestFinished(() => vite.close())
  await vite.listen()
  const [url] = vite.resolvedUrls?.local ?? []
  if (url === undefined) throw new Error('Vite listens nowhere')
  return { url, folder }
}
