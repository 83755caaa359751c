import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pathWith } from './example.ts'

/** Packages of npm that bring a program for each kind of machine, and where in it the program is. */
const PROGRAMS = {
  bun: { scope: '@oven', path: 'bin/bun' },
  deno: { scope: '@deno', path: 'deno' },
  pnpm: { scope: '@pnpm', path: 'pnpm' },
  node: { scope: '', path: 'bin/node' },
} as const

export interface Tool {
  /** With the program before all others. */
  readonly env: Readonly<Record<'PATH', string>>
  remove(): Promise<void>
}

/** Installs a program from npm into a folder of its own. No script is run: what is needed lies in the package. */
export async function installTool(name: keyof typeof PROGRAMS, version = 'latest'): Promise<Tool> {
  const folder = await mkdtemp(join(tmpdir(), `jobcast-tool-${name}-`))
  const wanted = name === 'node' ? `node-${process.platform}-${process.arch}` : name
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--no-progress']
  await promisify(execFile)('npm', ['install', '--prefix', folder, ...flags, `${wanted}@${version}`])
  const { scope, path } = PROGRAMS[name]
  const modules = join(folder, 'node_modules', scope)
  // Where a machine could run several, npm brings all of them.
  const [brought = ''] = scope === '' ? [wanted] : await readdir(modules)
  const program = join(modules, brought, path)
  await access(program, constants.X_OK)
  return {
    env: { PATH: pathWith(join(program, '..')) },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
