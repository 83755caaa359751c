import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface PackageManager {
  readonly name: 'npm' | 'pnpm' | 'yarn' | 'bun'
  /** `npm i zod` */
  install(name: string): string
  /** `npx jobcast dev` */
  exec(command: string): string
  /** `npm run jobs` */
  run(script: string): string
}

const MANAGERS: readonly (PackageManager & { readonly locks: readonly string[] })[] = [
  manager('pnpm', ['pnpm-lock.yaml'], 'pnpm add', 'pnpm', 'pnpm'),
  manager('yarn', ['yarn.lock'], 'yarn add', 'yarn', 'yarn'),
  manager('bun', ['bun.lock', 'bun.lockb'], 'bun add', 'bunx', 'bun run'),
  manager('npm', ['package-lock.json', 'npm-shrinkwrap.json'], 'npm i', 'npx', 'npm run'),
]

/** Who manages the packages of the project that a folder is in, by its lock file; npm where there is none. */
export function packageManagerOf(folder: string): PackageManager {
  const found = MANAGERS.find(({ locks }) => locks.some((lock) => existsSync(join(folder, lock))))
  if (found !== undefined) return found
  const parent = dirname(folder)
  return parent === folder ? manager('npm', [], 'npm i', 'npx', 'npm run') : packageManagerOf(parent)
}

function manager(
  name: PackageManager['name'],
  locks: readonly string[],
  add: string,
  exec: string,
  run: string,
) {
  return {
    name,
    locks,
    install: (dependency: string) => `${add} ${dependency}`,
    exec: (command: string) => `${exec} ${command}`,
    run: (script: string) => `${run} ${script}`,
  }
}
