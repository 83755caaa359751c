// Builds what is out of date: dist/client, dist/next and dist/shared with tsc, dist/server, dist/testing, dist/cli, dist/examples and dist/page with Vite.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
process.chdir(root)

const CODE = {
  stamp: 'dist/.code',
  from: ['server', 'shared', 'client', 'next', 'testing', 'cli', 'examples/samples'],
  build: buildCode,
}
const PAGE = { stamp: 'dist/.page', from: ['client', 'shared', 'vite.config.ts'], build: buildPage }
const CONFIGURATION = [
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.server.json',
  'scripts/bundle.mjs',
  'scripts/declarations.mjs',
]

for (const target of [CODE, PAGE]) {
  if (!process.argv.includes('--force') && isFresh(target)) continue
  target.build()
  writeFileSync(target.stamp, '')
}

function buildCode() {
  for (const folder of ['server', 'shared', 'client', 'next', 'testing', 'cli', 'examples'])
    rmSync(join('dist', folder), { recursive: true, force: true })
  run(binary('tsc'), ['-p', 'tsconfig.build.json'])
  run(binary('tsc'), ['-p', 'tsconfig.server.json'])
  run(process.execPath, [join('scripts', 'declarations.mjs')])
  run(process.execPath, [join('scripts', 'bundle.mjs')])
}

function buildPage() {
  run(binary('vite'), ['build', '--logLevel', 'warn'])
}

function binary(tool) {
  return join('node_modules', '.bin', tool)
}

function run(command, args) {
  const { status } = spawnSync(command, args, {
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (status !== 0) process.exit(status ?? 1)
}

function isFresh({ stamp, from }) {
  if (!existsSync(stamp)) return false
  const built = statSync(stamp).mtimeMs
  const sources = [...from, ...CONFIGURATION]
  return sources.flatMap(files).every((file) => statSync(file).mtimeMs < built)
}

function files(path) {
  if (!existsSync(path)) return []
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => files(join(path, entry.name)))
}
