import { OutcomeUnknown, Unavailable } from '../errors.ts'
import { ANSWER_MS, type Answer, Connection, type MarkKeys } from './connection.ts'
import type { Partition } from './keys.ts'
import { LARGE, type Script } from './scripts.ts'
import { AnswerLost, type RedisAccess, ScriptBroken } from './server.ts'

type Argument = string | number

/** Less than this is too short to reconnect and ask again. */
const SHORTEST_MS = 20

/**
 * Sends scripts and commands over the command connection, and says what it means for a caller when the answer is lost:
 * a read is unavailable, a change has an unknown outcome. What may be sent twice is sent again when the connection
 * breaks under it and comes back in time.
 */
export class Commands {
  readonly #connection: Connection
  readonly #bulk: Bulk

  constructor(connection: Connection, bulk: Bulk) {
    this.#connection = connection
    this.#bulk = bulk
  }

  /** Rejects with `Unavailable`. */
  async read(
    script: Script,
    partition: Partition,
    args: readonly Argument[],
    deadlineMs = ANSWER_MS,
  ): Promise<Answer> {
    try {
      return await this.repeat((left) => this.run(script, partition, args, left), deadlineMs)
    } catch (error) {
      throw asUnavailable(error)
    }
  }

  /** A read whose answer may be large, so that nothing else is to wait behind it. Rejects with `Unavailable`. */
  async readLarge(script: Script, partition: Partition, args: readonly Argument[]): Promise<Answer> {
    try {
      return await this.repeat((left) => this.#bulk.run(script, partition.prefix, args, left))
    } catch (error) {
      throw asUnavailable(error)
    }
  }

  /** The text under a key, which may be large; null where there is none. Rejects with `AnswerLost` or `Unavailable`. */
  async getLarge(key: string): Promise<unknown> {
    const { reply } = await this.repeat((left) => this.#bulk.send('get', [key], left))
    return reply
  }

  /** Rejects with `Unavailable`, or `OutcomeUnknown` of these jobs. Sent once. */
  async change(
    script: Script,
    partition: Partition,
    args: readonly Argument[],
    jobIds: readonly string[],
  ): Promise<Answer> {
    try {
      return await this.run(script, partition, args, ANSWER_MS)
    } catch (error) {
      throw asOutcomeUnknown(error, jobIds)
    }
  }

  /** A change of no job that may be made twice. Rejects with `Unavailable` or `OutcomeUnknown`. */
  async set(script: Script, partition: Partition, args: readonly Argument[]): Promise<Answer> {
    try {
      return await this.repeat((left) => this.run(script, partition, args, left))
    } catch (error) {
      throw asOutcomeUnknown(error, [])
    }
  }

  /** A plain command that may be sent twice. Rejects with `Unavailable` or `OutcomeUnknown`. */
  async send(command: string, args: readonly Argument[]): Promise<unknown> {
    try {
      const { reply } = await this.repeat((left) => this.#connection.send(command, [...args], left))
      return reply
    } catch (error) {
      throw asOutcomeUnknown(error, [])
    }
  }

  /** One try of a script, for batches. Rejects with `AnswerLost` or `Unavailable`. */
  run(script: Script, partition: Partition, args: readonly Argument[], deadlineMs: number): Promise<Answer> {
    const connection = isLarge(args) ? this.#bulk : this.#connection
    return connection.run(script, partition.prefix, args, deadlineMs)
  }

  /** Sends again what was lost with a connection, as long as there is time. Rejects with the first failure. */
  async repeat(
    send: (deadlineMs: number, again: boolean) => Promise<Answer>,
    deadlineMs = ANSWER_MS,
  ): Promise<Answer> {
    const deadline = performance.now() + deadlineMs
    let lost: AnswerLost | null = null
    for (;;) {
      const left = deadline - performance.now()
      try {
        if (left < SHORTEST_MS) throw lost ?? new Unavailable(`${this.#connection.reason}: no time left`)
        if (lost !== null) await this.#connection.whenReady(left)
        return await send(Math.max(1, deadline - performance.now()), lost !== null)
      } catch (error) {
        if (!(error instanceof AnswerLost)) throw lost !== null && error instanceof Unavailable ? lost : error
        if (error === lost) throw error
        lost = error
      }
    }
  }
}

function isLarge(args: readonly Argument[]): boolean {
  let characters = 0
  for (const argument of args) if (typeof argument === 'string') characters += argument.length
  return characters > LARGE
}

/** A lost answer to a read has changed nothing. */
export function asUnavailable(error: unknown): unknown {
  return isUncertain(error) ? new Unavailable(error.message) : error
}

/** Whether a change whose answer was lost has changed these jobs is not known. */
export function asOutcomeUnknown(error: unknown, jobIds: readonly string[]): unknown {
  return isUncertain(error) ? new OutcomeUnknown(error.message, jobIds) : error
}

function isUncertain(error: unknown): error is AnswerLost | ScriptBroken {
  return error instanceof AnswerLost || error instanceof ScriptBroken
}

/** Unused for so long it is closed. */
const KEPT_MS = 30_000
/** While something is under way, the server is asked for a sign of life so often, on the other connection. */
const ASK_EVERY_MS = 400
const SIGN_OF_LIFE_MS = 1000

export interface BulkOptions {
  readonly address: RedisAccess
  readonly markKeys: MarkKeys
  /** The connection for everything else, which knows whether the server is there. */
  readonly commands: Connection
}

/**
 * What is large, on a connection of its own, so that nothing else waits behind it. How long that takes says nothing about the server:
 * what is on its way to it cannot be seen. So it is patient for as long as the server answers on the connection for
 * everything else, and gives up with that. It is opened when it is needed.
 */
export class Bulk {
  readonly #options: BulkOptions
  readonly #connection: Connection
  #underWay = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: BulkOptions) {
    this.#options = options
    const { address, markKeys } = options
    this.#connection = new Connection({
      address,
      name: 'bulk',
      markKeys,
      isPatient: true,
      onReady: () => undefined,
      onLost: () => undefined,
    })
  }

  /** It does what `Connection.run` does. */
  run(script: Script, key: string, args: readonly Argument[], deadlineMs: number): Promise<Answer> {
    return this.#use(deadlineMs, () => this.#connection.run(script, key, args, ANSWER_MS))
  }

  /** It does what `Connection.send` does. */
  send(command: string, args: Argument[], deadlineMs: number): Promise<Answer> {
    return this.#use(deadlineMs, () => this.#connection.send(command, args))
  }

  /** What is under way fails, and it is closed until it is needed again. */
  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#connection.close()
  }

  async #use(deadlineMs: number, call: () => Promise<Answer>): Promise<Answer> {
    const { commands } = this.#options
    // Rejects where the server is known to be away.
    await commands.whenReady(0)
    this.#begin()
    try {
      this.#connection.open()
      await this.#connection.whenReady(deadlineMs)
      return await call()
    } finally {
      this.#end()
    }
  }

  #begin(): void {
    this.#underWay += 1
    if (this.#underWay > 1) return
    clearInterval(this.#timer)
    const { commands } = this.#options
    this.#timer = setInterval(() => void commands.askForLife(SIGN_OF_LIFE_MS), ASK_EVERY_MS)
  }

  #end(): void {
    this.#underWay -= 1
    if (this.#underWay > 0 || this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = setTimeout(() => this.close(), KEPT_MS)
  }
}
