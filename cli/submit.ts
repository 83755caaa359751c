import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { SubmitOptions } from '../client/index.ts'
import { type ClientFlags, withServer } from './connect.ts'
import { CommandError, color, dye, isTerminal, parseDuration, print, printJson, say } from './terminal.ts'
import { follow } from './watch.ts'

export interface SubmitFlags extends ClientFlags {
  readonly watch?: boolean
  readonly delay?: string
  readonly at?: string
  readonly priority?: string
  readonly maxAttempts?: string
  readonly timeout?: string
  readonly tag?: readonly string[]
  readonly idempotencyKey?: string
  readonly options?: string
}

/** Resolves to the exit code. */
export async function submit(type: string, words: readonly string[], flags: SubmitFlags): Promise<number> {
  const payload = await readPayload(type, words)
  const options = readOptions(flags)
  return withServer(flags, async (client, url) => {
    const answer = await client.submit({
      type,
      payload,
      options,
      ...(flags.idempotencyKey !== undefined && { idempotencyKey: flags.idempotencyKey }),
    })
    if (flags.watch === true) return follow(client, answer.jobId, flags)
    if (flags.json === true) printJson(answer)
    else print(isTerminal ? `${answer.jobId}  ${answer.type}  ${color.dim(answer.status)}` : answer.jobId)
    if (isTerminal && flags.json !== true) say(dye.dim(`watch it: ${url}/jobs/${answer.jobId}`))
    return 0
  })
}

/** JSON, `@file`, `-` for standard input, or pairs `name=value`, whose values are JSON where they can be. */
async function readPayload(type: string, words: readonly string[]): Promise<unknown> {
  const [first] = words
  if (first === undefined) return {}
  if (words.every((word) => PAIR.test(word))) return Object.fromEntries(words.map(readPair))
  if (words.length > 1)
    throw new CommandError(
      `a payload is one argument: put it in quotes, as in jobcast submit ${type} '{"name":"value"}', or write pairs such as name=value`,
      { exitCode: 2 },
    )
  if (first === '-') return parse(await text(process.stdin), 'standard input')
  if (!first.startsWith('@')) return parse(first, 'the payload')
  const path = first.slice(1)
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'there is no such file' : error.message
    throw new CommandError(`${path}: ${why}`, { exitCode: 2 })
  })
  return parse(content, path)
}

const PAIR = /^([A-Za-z_][\w.-]*)=(.*)$/s

function readPair(word: string): [string, unknown] {
  const [, name = '', value = ''] = PAIR.exec(word) ?? []
  try {
    const read: unknown = JSON.parse(value)
    // An id of many digits is meant as it is written.
    return [name, typeof read === 'number' && String(read) !== value ? value : read]
  } catch {
    return [name, value]
  }
}

function parse(content: string, what: string): unknown {
  try {
    return JSON.parse(content)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CommandError(`${what} is not JSON: ${why}`, { exitCode: 2 })
  }
}

/** Ranges are the server's to check, which names the option. */
function readOptions(flags: SubmitFlags): SubmitOptions {
  const more = flags.options === undefined ? {} : parse(flags.options, '--options')
  const said = {
    delayMs: ms('--delay', flags.delay),
    runAt: flags.at,
    priority: number('--priority', flags.priority),
    maxAttempts: number('--max-attempts', flags.maxAttempts),
    timeoutMs: ms('--timeout', flags.timeout),
    tags: flags.tag,
  }
  const given = Object.entries(said).filter(([, value]) => value !== undefined)
  return { ...Object(more), ...Object.fromEntries(given) }
}

function ms(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const read = parseDuration(value)
  if (read === null)
    throw new CommandError(`${flag} ${value} is no duration: write it such as 30s, 5m, 2h or 500ms`, {
      exitCode: 2,
    })
  return read
}

function number(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const read = Number(value)
  if (value.trim() === '' || Number.isNaN(read))
    throw new CommandError(`${flag} ${value} is no number`, { exitCode: 2 })
  return read
}
