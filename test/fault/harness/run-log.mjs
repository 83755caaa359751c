// What runs write down about themselves: one line each time, in a file that outlives every process.
import { randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

const FILE = process.env.JOBCAST_TEST_RUNS

/** Notes that a run begins, that its signal fires, and, once `end` is called, that it returns. */
export function beginRun({ jobId, attempt, signal }) {
  const run = randomUUID()
  const note = (what, more = {}) =>
    appendFileSync(FILE, `${JSON.stringify({ jobId, attempt, run, what, pid: process.pid, ...more })}\n`)
  note('begun')
  signal.addEventListener('abort', () => note('stopped', { reason: signal.reason?.reason }), { once: true })
  return {
    /** The result of the job: which of its runs made it. */
    end() {
      note('returned')
      return { run }
    },
  }
}

/** How many runs of the job have begun. */
export function runsBefore({ jobId }) {
  if (!existsSync(FILE)) return 0
  const lines = readFileSync(FILE, 'utf8').split('\n')
  return lines.filter((line) => line.includes(jobId) && line.includes('"begun"')).length
}
