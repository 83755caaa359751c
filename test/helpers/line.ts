import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { Job } from '../../shared/job.ts'
import { submit, untilTerminal } from './api.ts'

/** For a server whose jobs are to be held; it runs one at a time. */
export const HELD_JOBS = {
  JOBCAST_JOBS: fileURLToPath(new URL('./held-jobs.mjs', import.meta.url)),
  JOBCAST_CONCURRENCY: '1',
}

/** What lets a job go on that waits for this file; to be told it in its payload. */
export interface Hold {
  readonly file: string
  letGo(): Promise<void>
}

export async function openHold(): Promise<Hold> {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-held-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'go')
  return { file, letGo: () => writeFile(file, '') }
}

/** A job that goes on until it is let go, however slow whoever watches it is. */
export async function hold(
  url: string,
  payload: object = {},
  type: 'held' | 'counting' = 'held',
): Promise<Hold & { readonly jobId: string }> {
  const held = await openHold()
  const { jobId } = await submit(url, { type, payload: { ...payload, file: held.file } })
  return { ...held, jobId }
}

/** A line of jobs; each ends when it is told to, or when it was told before. */
export interface Line {
  readonly jobIds: readonly string[]
  /** Lets the next job that was not let go yet end. */
  next(): Promise<void>
  close(): Promise<void>
}

export async function queueUp(url: string, amount: number): Promise<Line> {
  const folder = await mkdtemp(join(tmpdir(), 'jobcast-line-'))
  const files = Array.from({ length: amount }, () => join(folder, randomUUID()))
  const jobIds: string[] = []
  for (const file of files) jobIds.push((await submit(url, { type: 'held', payload: { file } })).jobId)
  return {
    jobIds,
    async next() {
      const file = files.shift()
      if (file !== undefined) await writeFile(file, '')
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Runs one job of so many ms, so that it is known how long they take. */
export async function runOne(url: string, ms: number): Promise<Job> {
  const { jobId } = await submit(url, { type: 'held', payload: { file: '/', ms } })
  return untilTerminal(url, jobId)
}
