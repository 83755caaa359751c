// `npm run test:soak`: brings about every fault as often as its row says, and prints a table of what became of it.
// `-- --repetitions 20`: at most so often; `-- worker-death pubsub`: only the files whose names contain one of these.
// `-- --file soak.jsonl`: keeps each trial there, and goes on where a run with the same file was cut short.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  options: { repetitions: { type: 'string', default: 'all' }, file: { type: 'string' } },
  allowPositionals: true,
})
const files = positionals.length === 0 ? [''] : positionals
const trials = resolve(values.file ?? join(tmpdir(), `jobcast-soak-${process.pid}.jsonl`))
const { status } = spawnSync(
  join('node_modules', '.bin', 'vitest'),
  [
    'run',
    ...files.map((file) => `test/fault/${file}`),
    '--reporter=default',
    '--reporter=./test/fault/harness/soak-reporter.ts',
  ],
  {
    stdio: 'inherit',
    shell: process.platform === 'win32',
    env: { ...process.env, JOBCAST_SOAK: values.repetitions, JOBCAST_SOAK_FILE: trials },
  },
)
if (values.file === undefined) rmSync(trials, { force: true })
process.exit(status ?? 1)
