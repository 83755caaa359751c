// `npm run mutate`: plants the faults of test/planted/, one at a time, in copies of this folder, and runs the tests that should
// notice each. `-- sqlite: lease`: only those in whose area (with a colon), file or sentence one of these words stands. `-- --parallel 1`: one at
// a time. `-- --check`: only looks whether each can be planted. Exits with 1 where one cannot, where one survives and does not say
// why, or where fewer than 95 % are caught.
import { spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

/**
 * A rule of the product, broken.
 *
 * @typedef {object} Fault
 * @property {string} what What is wrong with it, in the words of whoever would meet it.
 * @property {string} file Where it is planted.
 * @property {string} find Stands there exactly once.
 * @property {string} replace
 * @property {string[]} tests Files that should notice it. Where they do not, those of its whole area are run.
 * @property {boolean} [built] The tests run what was built.
 * @property {string} [survives] Why no test notices it.
 */

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const PLANTED = join(ROOT, 'test', 'planted')
const LEAST_CAUGHT = 0.95
/** A fault may make its tests hang, which is noticed as well. */
const RUN_MS = 300_000

const { values, positionals } = parseArgs({
  options: {
    parallel: { type: 'string', default: String(Math.max(1, availableParallelism())) },
    check: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})

const faults = (await planted()).filter(isWanted)
if (faults.length === 0) {
  console.error('No planted fault is called like this.')
  process.exit(1)
}
const results = faults.filter(({ edit }) => edit === null).map((fault) => ({ fault, is: 'stale' }))
for (const result of results) tell(result)
if (!values.check) await tryAll(faults.filter(({ edit }) => edit !== null))
process.exit(isGood() ? 0 : 1)

/** All faults, each with the text of its file once it is planted; null where it cannot be. */
async function planted() {
  const files = readdirSync(PLANTED).filter((name) => name.endsWith('.mjs'))
  const areas = await Promise.all(
    files.map(async (name) => {
      const { faults, wider } = await import(pathToFileURL(join(PLANTED, name)).href)
      return faults.map((fault) => ({ ...fault, area: basename(name, '.mjs'), wider, edit: edit(fault) }))
    }),
  )
  return areas.flat()
}

function edit({ file, find, replace, tests }) {
  const path = join(ROOT, file)
  if (![path, ...tests.map((test) => join(ROOT, test))].every((named) => existsSync(named))) return null
  const parts = readFileSync(path, 'utf8').split(find)
  return parts.length === 2 && find !== replace ? parts.join(replace) : null
}

function isWanted({ area, file, what }) {
  const text = `${area}: ${file} ${what}`.toLowerCase()
  return positionals.length === 0 || positionals.some((word) => text.includes(word.toLowerCase()))
}

async function tryAll(waiting) {
  const folder = mkdtempSync(join(tmpdir(), 'jobcast-mutate-'))
  try {
    const count = Math.min(Number(values.parallel), waiting.length)
    const copies = Array.from({ length: count }, (_, n) => copyTo(join(folder, String(n))))
    await passAsTheyAre(waiting, copies[0])
    await Promise.all(
      copies.map(async (copy) => {
        for (let fault = waiting.shift(); fault !== undefined; fault = waiting.shift()) {
          const result = { fault, ...(await tryOut(fault, copy)) }
          results.push(result)
          tell(result)
        }
      }),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What git knows or would, with the packages linked, and built. */
function copyTo(copy) {
  const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
  for (const file of listed.stdout
    .split('\n')
    .filter((name) => name !== '' && existsSync(join(ROOT, name)))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(ROOT, file), join(copy, file), { preserveTimestamps: true })
  }
  for (const packages of ['node_modules', 'test/react-18/node_modules'])
    if (existsSync(join(ROOT, packages))) symlinkSync(join(ROOT, packages), join(copy, packages))
  build(copy)
  return copy
}

function build(copy) {
  const { status } = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: copy, stdio: 'ignore' })
  return status === 0
}

/** A test that fails without any fault would notice them all. */
async function passAsTheyAre(waiting, copy) {
  const all = new Set(waiting.flatMap(({ tests, wider }) => [...tests, ...wider]))
  const failed = await noticed([...all], copy)
  if (failed !== null) throw new Error(`without any fault this fails: ${failed.text}`)
}

async function tryOut({ file, edit, tests, wider, built }, copy) {
  const beganAt = performance.now()
  const path = join(copy, file)
  const original = readFileSync(path)
  const others = wider.filter((test) => !tests.includes(test))
  try {
    writeFileSync(path, edit)
    if (built && !build(copy))
      return { is: 'broken', by: 'it cannot be built', ms: performance.now() - beganAt }
    const near = await noticed(tests, copy)
    const by = near ?? (others.length > 0 ? await noticed(others, copy) : null)
    const ms = performance.now() - beganAt
    if (by === null) return { is: 'survived', ms }
    return by.isBroken ? { is: 'broken', by: by.text, ms } : { is: 'caught', by: by.text, ms }
  } finally {
    writeFileSync(path, original)
    if (built) build(copy)
  }
}

/** The first test that fails; null where none does. */
async function noticed(tests, copy) {
  const report = join(copy, 'report.json')
  rmSync(report, { force: true })
  const args = ['run', '--bail=1', '--maxWorkers=2', '--reporter=json', `--outputFile=${report}`, ...tests]
  const { code, isTooLong, printed } = await run(join(ROOT, 'node_modules', '.bin', 'vitest'), args, copy)
  if (isTooLong) return { text: `no end within ${RUN_MS / 1000} s` }
  if (code === 0) return null
  if (!existsSync(report)) return { isBroken: true, text: printed.trim().split('\n').at(-1) ?? '' }
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
  const failed = testResults.flatMap(({ assertionResults }) => assertionResults)
  const first = failed.find(({ status }) => status === 'failed')
  if (first !== undefined) return { text: first.fullName }
  const unloaded = testResults.find(({ status, message }) => status === 'failed' && message)
  // Nothing failed but what nobody awaited.
  return unloaded === undefined
    ? { text: 'an error that nobody caught' }
    : { isBroken: true, text: unloaded.message }
}

function run(command, args, cwd) {
  const { CI: _, ...env } = process.env
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    let isTooLong = false
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        printed = (printed + text).slice(-10_000)
      })
    const timer = setTimeout(() => {
      isTooLong = true
      // With whatever the tests have started.
      process.kill(-child.pid, 'SIGKILL')
    }, RUN_MS)
    child.on('exit', (code) => {
      clearTimeout(timer)
      resolve({ code, isTooLong, printed })
    })
  })
}

function tell({ fault, is, by, ms }) {
  const took = ms === undefined ? '' : ` (${Math.round(ms / 1000)} s)`
  console.log(`${is.padEnd(8)} ${fault.area}: ${fault.what}${took}`)
  if (is === 'stale')
    console.log(`         ${fault.file} does not have this once, or a test is gone: ${fault.find}`)
  if (by !== undefined) console.log(`         by: ${by.split('\n')[0]}`)
  if (is === 'survived') console.log(`         ${fault.survives ?? 'no reason is given'}`)
  if (is === 'caught' && fault.survives !== undefined)
    console.log('         it does not survive any more: take away why it does')
}

function isGood() {
  const count = (is) => results.filter((result) => result.is === is).length
  const [caught, survived] = [count('caught'), count('survived')]
  const wrong = count('stale') + count('broken')
  if (values.check) {
    console.log(`${faults.length} faults, ${wrong} of them cannot be planted`)
    return wrong === 0
  }
  const unexplained = results.filter(
    ({ is, fault }) => is === 'survived' && fault.survives === undefined,
  ).length
  const share = caught / results.length
  console.log(
    `${results.length} planted, ${caught} caught (${(100 * share).toFixed(1)} %), ${survived} survived, ${wrong} could not be tried`,
  )
  return wrong === 0 && unexplained === 0 && share >= LEAST_CAUGHT
}
