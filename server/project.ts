import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What is known of the project that somebody uses Jobcast in: its package manager, and its jobs file. */

export interface PackageManager {
  readonly name: 'npm' | 'pnpm' | 'yarn' | 'bun'
  /** `npm i zod` */
  install(dependency: string): string
  /** `npx jobcast dev` */
  exec(command: string): string
  /** `npm run jobs` */
  run(script: string): string
}

const MANAGERS = [
  { name: 'pnpm', locks: ['pnpm-lock.yaml'], add: 'pnpm add', exec: 'pnpm', run: 'pnpm' },
  { name: 'yarn', locks: ['yarn.lock'], add: 'yarn add', exec: 'yarn', run: 'yarn' },
  { name: 'bun', locks: ['bun.lock', 'bun.lockb'], add: 'bun add', exec: 'bunx', run: 'bun run' },
  { name: 'npm', locks: ['package-lock.json'], add: 'npm i', exec: 'npx', run: 'npm run' },
] as const

/** Who manages the packages of the project that a folder is in, by its lock file; npm where there is none. */
export function packageManagerOf(folder: string): PackageManager {
  const parent = dirname(folder)
  const found = MANAGERS.find(({ locks }) => locks.some((lock) => existsSync(join(folder, lock))))
  if (found === undefined && parent !== folder) return packageManagerOf(parent)
  const { name, add, exec, run } = found ?? MANAGERS[3]
  return {
    name,
    install: (dependency) => `${add} ${dependency}`,
    exec: (command) => `${exec} ${command}`,
    run: (script) => `${run} ${script}`,
  }
}

/** Where jobs files are looked for where nobody names one, and what they are called. */
export const JOBS_FOLDERS = ['.', 'src', 'app', 'src/app', 'server', 'src/server', 'lib', 'src/lib']
const ENDINGS = ['ts', 'mts', 'tsx', 'js', 'mjs', 'cjs']
const CONVENTION = JOBS_FOLDERS.flatMap((folder) =>
  ['jobs', 'jobs/index'].flatMap((name) => ENDINGS.map((ending) => join(folder, `${name}.${ending}`))),
)

/** The jobs file that a project has by convention, such as `jobs.ts` or `src/jobs.ts`; null where it has none. */
export function findJobsFile(folder: string): string | null {
  return CONVENTION.find((path) => existsSync(join(folder, path))) ?? null
}
