import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new folder on the disk, to be removed when it is no longer needed. */
export async function newFolder() {
  const path = await mkdtemp(join(tmpdir(), 'jobcast-bench-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Calls back with a new folder, which is gone afterwards. */
export async function inFolder(use) {
  const folder = await newFolder()
  try {
    return await use(folder.path)
  } finally {
    await folder.remove()
  }
}
