import type { RedisAddress } from './address.ts'
import { ANSWER_MS, type Answer, Connection, type MarkKeys } from './connection.ts'
import type { Script } from './scripts.ts'

type Argument = string | number

/** Unused for so long it is closed. */
const KEPT_MS = 30_000
/** While something is under way, the server is asked for a sign of life so often, on the other connection. */
const ASK_EVERY_MS = 400
const SIGN_OF_LIFE_MS = 1000

export interface BulkOptions {
  readonly address: RedisAddress
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

  /** As `Connection.run`. */
  run(script: Script, key: string, args: readonly Argument[], deadlineMs: number): Promise<Answer> {
    return this.#use(deadlineMs, () => this.#connection.run(script, key, args, ANSWER_MS))
  }

  /** As `Connection.send`. */
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
