import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the package as it is published. */
    tarball: string
  }
}

/** Packs what was built, once for all examples. */
export default async function pack(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-pack-'))
  const { stdout } = await promisify(execFile)('npm', [
    'pack',
    '--silent',
    '--ignore-scripts',
    '--pack-destination',
    folder,
  ])
  project.provide('tarball', join(folder, stdout.trim()))
  return () => rm(folder, { recursive: true, force: true })
}
