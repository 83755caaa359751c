// `npm run bench`: builds what is out of date, installs the peers where they are missing, then measures.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import './build.mjs'

run(process.execPath, ['scripts/tools.mjs', 'redis-server'])
const installed = join('bench', 'node_modules', '.package-lock.json')
const lock = join('bench', 'package-lock.json')
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
  run('npm', ['ci', '--prefix', 'bench', '--no-audit', '--no-fund'])
}

await import('../bench/main.mjs')

function run(command, args) {
  const { status } = spawnSync(command, args, {
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (status !== 0) process.exit(status ?? 1)
}
