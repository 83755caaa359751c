// Builds what is out of date: dist/server, dist/shared and dist/client with tsc, dist/page with Vite.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
process.chdir(root)

const CODE = { stamp: 'dist/.code', from: ['server', 'shared', 'client'], build: buildCode }
const PAGE = { stamp: 'dist/.page', from: ['client', 'shared', 'vite.config.ts'], build: buildPage }

for (const target of [CODE, PAGE]) {
  if (!process.argv.includes('--force') && isFresh(target)) continue
  target.build()
  writeFileSync(target.stamp, '')
}

function buildCode() {
  for (const folder of ['server', 'shared', 'client'])
    rmSync(join('dist', folder), { recursive: true, force: true })
  run('tsc', ['-p', 'tsconfig.build.json'])
  for (const file of files('server')) {
    if (!file.endsWith('.lua')) continue
    mkdirSync(dirname(join('dist', file)), { recursive: true })
    cpSync(file, join('dist', file))
  }
}

function buildPage() {
  run('vite', ['build', '--logLevel', 'warn'])
}

function run(tool, args) {
  const { status } = spawnSync(join('node_modules', '.bin', tool), args, {
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (status !== 0) process.exit(status ?? 1)
}

function isFresh({ stamp, from }) {
  if (!existsSync(stamp)) return false
  const built = statSync(stamp).mtimeMs
  const sources = [...from, 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json']
  return sources.flatMap(files).every((file) => statSync(file).mtimeMs < built)
}

function files(path) {
  if (!existsSync(path)) return []
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => files(join(path, entry.name)))
}
