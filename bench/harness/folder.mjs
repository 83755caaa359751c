import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Calls back with a new folder on the disk, which is gone afterwards. */
export async function inFolder(use) {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-bench-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
