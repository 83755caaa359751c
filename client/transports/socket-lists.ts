import type { ClientFrame } from '../../shared/protocol.ts'
import { JobcastError } from '../errors.ts'
import { reconnectDelayMs } from '../retry.ts'
import type { Timer } from '../time.ts'
import { type CarriedList, type ListCarrier, type ListFrame, rouse } from './link.ts'

export type SendFrame = (frame: ClientFrame) => void

/** `asked`: the answer to `watch` is awaited. */
interface Carriage {
  readonly list: CarriedList
  phase: 'pending' | 'asked' | 'live' | { readonly resting: Timer }
  /** Refusals in a row. */
  repeats: number
}

/** The lists of one WebSocket link, by name. All are asked for again whenever a socket opens. */
export class SocketLists implements ListCarrier {
  readonly #send: SendFrame
  readonly #random: () => number
  readonly #carriages = new Map<string, Carriage>()
  #isOpen = false
  /** The server does not know lists; it counts every frame that it does not know. */
  #unknown: JobcastError | null = null

  constructor(send: SendFrame, random: () => number) {
    this.#send = send
    this.#random = random
  }

  get size(): number {
    return this.#carriages.size
  }

  carry(list: CarriedList): void {
    const carriage: Carriage = { list, phase: 'pending', repeats: 0 }
    if (this.#unknown !== null) {
      list.refused(this.#unknown)
      return
    }
    this.#carriages.set(list.name, carriage)
    if (this.#isOpen) this.#ask(carriage)
  }

  carries(list: CarriedList): boolean {
    return this.#carriages.get(list.name)?.list === list
  }

  drop(list: CarriedList): void {
    const carriage = this.#carriages.get(list.name)
    if (carriage?.list !== list) return
    this.#remove(carriage)
    if (this.#isOpen) this.#send({ op: 'unwatch', list: list.name })
  }

  opened(): void {
    this.#isOpen = true
    for (const carriage of this.#carriages.values()) this.#ask(carriage)
  }

  interrupted(): void {
    this.#isOpen = false
    for (const carriage of this.#carriages.values()) {
      rouse(carriage)
      carriage.phase = 'pending'
      carriage.list.interrupted()
    }
  }

  close(): void {
    for (const carriage of [...this.#carriages.values()]) this.#remove(carriage)
    this.#isOpen = false
  }

  hear(frame: ListFrame): void {
    if (frame.list === undefined) {
      if (frame.op === 'error' && frame.code === 'bad_frame') this.#refuseAsked(frame.message)
      return
    }
    const carriage = this.#carriages.get(frame.list)
    if (carriage === undefined) return
    if (frame.op === 'list') {
      rouse(carriage)
      carriage.phase = 'live'
      carriage.repeats = 0
      carriage.list.listed(frame.jobs, frame.missing ?? [])
    } else if (frame.op === 'changes') {
      if (carriage.phase === 'live') carriage.list.changed(frame.jobs, frame.gone)
    } else this.#denied(carriage, frame)
  }

  #denied(carriage: Carriage, frame: Extract<ListFrame, { op: 'unwatched' | 'error' }>): void {
    // The answer to an `unwatch` from before.
    if (frame.code === 'requested') return
    const message = frame.op === 'error' ? frame.message : `the list ended: ${frame.code}`
    if (!frame.retry) {
      this.#remove(carriage)
      carriage.list.refused(new JobcastError(frame.code, message))
      return
    }
    rouse(carriage)
    const delayMs = reconnectDelayMs(carriage.repeats, this.#random)
    carriage.repeats += 1
    carriage.phase = { resting: setTimeout(() => this.#ask(carriage), delayMs) }
    carriage.list.interrupted()
  }

  /** Its error names no list: an older server does not know what a list is. */
  #refuseAsked(message: string): void {
    const asked = [...this.#carriages.values()].filter(({ phase }) => phase === 'asked')
    if (asked.length === 0) return
    this.#unknown = new JobcastError('bad_frame', `the server does not know lists: ${message}`)
    for (const carriage of asked) {
      this.#remove(carriage)
      carriage.list.refused(this.#unknown)
    }
  }

  #ask(carriage: Carriage): void {
    rouse(carriage)
    carriage.phase = 'asked'
    const { name, filter, credential } = carriage.list
    const token = credential === undefined ? {} : { token: credential }
    this.#send({ op: 'watch', list: name, ...filter, ...token })
  }

  #remove(carriage: Carriage): void {
    rouse(carriage)
    this.#carriages.delete(carriage.list.name)
  }
}
