import { readFile } from 'node:fs/promises'

/** What a run wrote down about itself (run-log.mjs). */
export interface RunNote {
  readonly jobId: string
  readonly attempt: number
  readonly run: string
  readonly what: 'begun' | 'stopped' | 'returned'
  readonly pid: number
  /** Why it was told to stop. */
  readonly reason?: string
}

/** All notes so far, in the order in which they were made. */
export async function readRuns(file: string): Promise<RunNote[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  // A process that is killed leaves half a line at worst, and only at the end.
  const lines = text.split('\n').filter((line) => line.endsWith('}'))
  return lines.map((line) => JSON.parse(line) as RunNote)
}

export function byJob(notes: readonly RunNote[]): Map<string, RunNote[]> {
  const groups = new Map<string, RunNote[]>()
  for (const note of notes) {
    const group = groups.get(note.jobId)
    if (group === undefined) groups.set(note.jobId, [note])
    else group.push(note)
  }
  return groups
}
