// `npm run bench`: builds what is out of date, installs the peers where they are missing, then measures.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import './tools.mjs'
import './build.mjs'

const installed = join('bench', 'node_modules', '.package-lock.json')
const lock = join('bench', 'package-lock.json')
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
  const { status } = spawnSync('npm', ['ci', '--prefix', 'bench'], {
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (status !== 0) process.exit(status ?? 1)
}

await import('../bench/main.mjs')
