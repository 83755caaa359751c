/**
 * Processes of a measurement: every contender runs in one of its own, and is asked what to do over IPC.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Of /proc/<pid>/stat, in Linux a hundredth of a second on every architecture that Node runs on. */
const TICK_MS = 10
const START_MS = 20_000
const STOP_MS = 5000
const ANSWER_MS = 120_000

const children = new Set()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/**
 * Starts a program that serves calls (harness/serve.mjs); resolves when it is ready to be asked.
 *
 * @param {string} program path relative to `bench/contenders/`
 * @param {Record<string, string | number>} env besides that of this process
 * @param {readonly string[]} nodeArgs
 */
export async function startContender(program, env = {}, nodeArgs = []) {
  const file = fileURLToPath(new URL(`../contenders/${program}`, import.meta.url))
  const child = launch([...nodeArgs, file], env, ['ignore', 'inherit', 'inherit', 'ipc'])
  const waiting = new Map()
  let calls = 0
  child.on('message', ({ id, answer, error }) => {
    const { resolve, reject } = waiting.get(id) ?? {}
    waiting.delete(id)
    if (error !== undefined) reject?.(new Error(`${program}: ${error}`))
    else resolve?.(answer)
  })
  child.once('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`${program} ended with ${signal ?? code}`))
  })
  /** Asks the program to do something; resolves to its answer. */
  const call = (method, ...args) =>
    within(
      new Promise((resolve, reject) => {
        const id = ++calls
        waiting.set(id, { resolve, reject })
        child.send({ id, method, args })
      }),
      ANSWER_MS,
      `${program} did not answer ${method}`,
    )
  await call('ready')
  return { pid: child.pid, call, stop: () => stop(child) }
}

/**
 * Starts the product as its users do, `node dist/server/main.js`; resolves when it says that it is ready.
 *
 * @param {Record<string, string | number>} env its configuration
 */
export async function startJobcast(env, nodeArgs = []) {
  const main = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
  const child = launch([...nodeArgs, main], { JOBCAST_LOG: 'error', ...env }, ['ignore', 'pipe', 'inherit'])
  const [line] = await within(
    Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`jobcast ended with ${code}`))),
    ]),
    START_MS,
    'jobcast did not start',
  )
  const url = /http:\/\/\S+/.exec(String(line))?.[0] ?? null
  return { pid: child.pid, url, stop: () => stop(child) }
}

/** Starts any program of the machine, ended with this process. */
export function launchProgram(command, args) {
  return track(spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }))
}

/** Ends a process and waits until it is gone. */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await gone
  clearTimeout(timer)
}

/** CPU that a process has used so far, in ms: its own and the system's on its behalf. */
export function cpuMs(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** Memory of a process that no other one shares, in bytes. */
export function privateBytes(pid) {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const kilobytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0)
  return (kilobytes('Private_Clean') + kilobytes('Private_Dirty')) * 1024
}

/** Rejects when a promise takes longer than `ms`. */
export function within(promise, ms, message) {
  let timer
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${message} within ${ms} ms`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Starts Node with these arguments, ended with this process. */
export function launch(args, env, stdio) {
  const texts = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]))
  return track(spawn(process.execPath, args, { env: { ...process.env, ...texts }, stdio }))
}

function track(child) {
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}
