// `npm run test:soak`: brings about every fault as often as its row says, and prints a table of what became of it.
// `-- --repetitions 20`: at most so often; `-- worker-death pubsub`: only the files whose names contain one of these.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  options: { repetitions: { type: 'string', default: 'all' } },
  allowPositionals: true,
})
const files = positionals.length === 0 ? [''] : positionals
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
    env: { ...process.env, JOBCAST_SOAK: values.repetitions },
  },
)
process.exit(status ?? 1)
