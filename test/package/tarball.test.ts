import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

const run = promisify(execFile)

/** Of what is downloaded, and of what is then on disk with all that comes with it; bytes. */
const PACKED = 2_000_000
const INSTALLED = 28_000_000

/** Ways of finding a module that know no ES modules. */
const IS_OLD = /^(?:node10|node16-cjs)$/

let folder: string
let installed: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobcast-tarball-'))
  await writeFile(join(folder, 'package.json'), '{ "private": true }')
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', inject('tarball')], {
    cwd: folder,
  })
  installed = join(folder, 'node_modules', 'jobcast')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

describe('the package', () => {
  test('is small, and so is what it installs', async () => {
    expect((await stat(inject('tarball'))).size).toBeLessThan(PACKED)
    const sizes = (await filesOf(join(folder, 'node_modules'))).map(async (file) => (await stat(file)).size)
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
    expect(total).toBeGreaterThan(1_000_000)
    expect(total).toBeLessThan(INSTALLED)
  })

  test('installs no library that only samples, tests or the page need', async () => {
    const names = await readdir(join(folder, 'node_modules'))
    expect(names.filter((name) => !/^(?:\.|@libsql$|@neon-rs$)/.test(name))).toEqual([
      '@standard-schema',
      'detect-libc',
      'jiti',
      'jobcast',
      'libsql',
    ])
  })

  test('is well described, for every way of resolving its modules', async () => {
    const packed = await readFile(inject('tarball'))
    const { messages, pkg } = await publint({ pkgDir: installed, strict: true })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
    const { types, problems } = {
      problems: [],
      ...(await checkPackage(createPackageFromTarballData(packed))),
    }
    expect(types).toBeTruthy()
    expect(
      problems.filter((problem) => !('resolutionKind' in problem && IS_OLD.test(problem.resolutionKind))),
    ).toEqual([])
  })

  test('has its licences, and those of what is bundled', async () => {
    expect(await readFile(join(installed, 'LICENSE'), 'utf8')).toMatch(/^MIT License/)
    const bundled = await readFile(join(installed, 'dist', 'server', 'THIRD-PARTY-LICENSES.md'), 'utf8')
    for (const name of ['hono', 'ioredis', 'pino', 'pino-pretty', 'ws', 'zod'])
      expect(bundled).toContain(`## ${name} `)
    const page = await readFile(join(installed, 'dist', 'page', 'THIRD-PARTY-LICENSES.md'), 'utf8')
    for (const name of ['react', '@mantine/core', '@fontsource-variable/inter'])
      expect(page).toContain(`## ${name} `)
  })

  test('has maps that are whole, so that no bundler looks for sources that are not there', async () => {
    const files = await filesOf(join(installed, 'dist'))
    const code = files.filter((file) => /\.m?js$/.test(file) && !file.includes('/page/'))
    expect(code.length).toBeGreaterThan(20)
    for (const file of code) {
      const [, map] = /^\/\/# sourceMappingURL=(.+)$/m.exec(await readFile(file, 'utf8')) ?? []
      if (map === undefined) continue
      const { sources, sourcesContent } = JSON.parse(await readFile(join(dirname(file), map), 'utf8'))
      expect(sourcesContent, map).toHaveLength(sources.length)
      expect(
        sourcesContent.filter((text: unknown) => typeof text !== 'string'),
        map,
      ).toEqual([])
    }
  })
})
