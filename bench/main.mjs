/**
 * `npm run bench` runs every case, `npm run bench -- NAME …` those named. Prints a table of each and the same as a
 * line of JSON; `--json` leaves out the tables, `--rounds N` changes how often everything is measured.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { measure } from './harness/measure.mjs'
import { toTable } from './harness/table.mjs'

const { values: flags, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, rounds: { type: 'string' }, list: { type: 'boolean' } },
})
const cases = await Promise.all(
  readdirSync(new URL('cases/', import.meta.url))
    .filter((file) => file.endsWith('.mjs'))
    .map(async (file) => (await import(`./cases/${file}`)).default),
)
cases.sort((one, other) => one.order - other.order)
const unknown = wanted.find((name) => !cases.some((one) => one.name === name))
const rounds = flags.rounds === undefined ? undefined : Number(flags.rounds)

if (unknown !== undefined) {
  fail(`there is no case ${unknown}: ${cases.map(({ name }) => name).join(', ')}`)
} else if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
  fail(`--rounds takes a whole number from 1, not ${flags.rounds}`)
} else if (flags.list) {
  for (const { name, title } of cases) console.log(`${name.padEnd(12)} ${title}`)
} else {
  const machine = describeMachine()
  if (!flags.json) console.log(`${Object.values(machine).join(' · ')}\n`)
  for (const one of cases.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    try {
      await report(one, machine)
    } catch (error) {
      // The others can be measured all the same.
      process.stderr.write(`bench: ${one.name} failed: ${error instanceof Error ? error.stack : error}\n`)
      process.exitCode = 1
    }
  }
}

async function report(one, machine) {
  const started = performance.now()
  const result = await measure(one, { ...(rounds && { rounds }), note })
  const seconds = Math.round((performance.now() - started) / 1000)
  note('')
  if (!flags.json) console.log(toTable(result))
  console.log(JSON.stringify({ ...result, seconds, machine }))
  if (!flags.json) console.log()
}

/** Where it was measured, and what. */
function describeMachine() {
  const require = createRequire(import.meta.url)
  const version = (name) => JSON.parse(readFileSync(packageFile(require, name), 'utf8')).version
  const peers = ['bullmq', 'bee-queue', 'socket.io', 'ws', 'hono', 'ioredis', 'libsql']
  const redis = /v=(\S+)/.exec(
    execFileSync(process.env.REDIS_SERVER_BIN ?? 'redis-server', ['--version']).toString(),
  )
  return {
    cpu: `${cpus().length} × ${cpus()[0]?.model.trim()}`,
    node: `Node ${process.versions.node}`,
    redis: `Redis ${redis?.[1]}`,
    peers: peers.map((name) => `${name} ${version(name)}`).join(', '),
  }
}

/** Not every package lets its package.json be asked for by name. */
function packageFile(require, name) {
  const folder = require.resolve.paths(name)?.[0]
  return `${folder}/${name}/package.json`
}

function note(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

function fail(message) {
  process.stderr.write(`bench: ${message}\n`)
  process.exitCode = 2
}
