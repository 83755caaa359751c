import { getHeapStatistics } from 'node:v8'
import { Unavailable } from '../engine/errors.ts'

/** Answers of fewer bytes are not counted: what a connection costs anyway is of the same size. */
export const COUNTED_BYTES = 16 * 1024

/** So many bytes may wait for readers, of a small heap an eighth; beyond twice that no call that only reads is answered. */
const MOST_BYTES = 128 * 1024 * 1024
const SHARE = 1 / 8
/** So many reads that the store answers one by one may be under way, however small what they are expected to bring: nobody knows before. */
const MOST_ALONE = 64
/** How long a read waits for room before the next look refuses it: callers are answered within two seconds. */
const ROOM_MS = 1500
/** While somebody waits for room: who takes nothing in so many looks, one every so many ms, is cut off. */
const LOOK_MS = 300
const PATIENCE = 4

/** Whoever is to take what was made for it. */
interface Taker {
  /** A number that changes whenever it takes something. */
  taken(): number
  /** Ends its connection. */
  cut(): void
}

/** What was made for one reader that has not taken it yet. */
export interface Charge {
  /** Counts more of it. */
  add(bytes: number): void
  /** Hears that it was taken, or that nobody is left to take it. Tolerates being called twice. */
  release(): void
}

interface Entry {
  readonly taker: Taker
  readonly release: () => void
  taken: number
  quietLooks: number
}

interface Waiting {
  readonly since: number
  readonly isAlone: boolean
  readonly admit: () => void
  readonly refuse: (error: Error) => void
}

/**
 * Bounds what a process makes for those who may not take it. Jobs are large and sockets many: a hundred callers that
 * ask for a job of 8 MB and do not read would fill the memory. So a job is read from the store only while there is room
 * for it; who waits for room has those cut off that take nothing. Reads of small jobs never wait.
 */
export class OutputBudget {
  readonly #mostBytes: number
  readonly #entries = new Set<Entry>()
  readonly #queue: Waiting[] = []
  #bytes = 0
  #reads = 0
  /** How many of the reads are joined with no others. */
  #alone = 0
  /** What a read is expected to bring: rises at once to what one has brought, and falls slowly. */
  #expectedBytes = 0
  #looking: NodeJS.Timeout | null = null
  readonly #onRead = () => this.#over(false)
  readonly #onReadAlone = () => this.#over(true)

  constructor(mostBytes = Math.min(MOST_BYTES, getHeapStatistics().heap_size_limit * SHARE)) {
    this.#mostBytes = mostBytes
  }

  /** Bytes that wait to be taken. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Reads jobs once there is room for them, where reads of one moment are one to the store. Rejects as `work` does, and
   * with `Unavailable` where there is no room in time.
   */
  read<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#through(work, false)
  }

  /** Does the same for a read that goes to the store by itself, of which there may be fewer. */
  readAlone<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#through(work, true)
  }

  /** Whether a read that goes to the store by itself would begin at once. */
  get hasRoom(): boolean {
    return this.#queue.length === 0 && this.#fitsRead(true)
  }

  /** Whether so much more may wait: several reads can bring more than any of them was expected to. */
  fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= 2 * this.#mostBytes
  }

  /** Counts what is given to a reader, until it is released; or, where nobody can take it yet, what is made for one. */
  charge(taker: Taker | null): Charge {
    let charged = 0
    const release = () => {
      if (entry !== null) this.#entries.delete(entry)
      this.#bytes -= charged
      charged = 0
      this.#admit()
    }
    const entry: Entry | null = taker && { taker, taken: 0, quietLooks: 0, release }
    return {
      add: (bytes) => {
        if (entry !== null) this.#entries.add(entry)
        this.#expectedBytes = Math.max(this.#expectedBytes, bytes)
        this.#bytes += bytes
        charged += bytes
      },
      release,
    }
  }

  #through<Result>(work: () => Promise<Result>, isAlone: boolean): Promise<Result> {
    if (this.#queue.length > 0 || !this.#fitsRead(isAlone)) {
      return this.#room(isAlone).then(() => this.#run(work, isAlone))
    }
    this.#begin(isAlone)
    return this.#run(work, isAlone)
  }

  #run<Result>(work: () => Promise<Result>, isAlone: boolean): Promise<Result> {
    const reading = work()
    const over = isAlone ? this.#onReadAlone : this.#onRead
    reading.then(over, over)
    return reading
  }

  #begin(isAlone: boolean): void {
    this.#reads += 1
    if (isAlone) this.#alone += 1
  }

  #over(isAlone: boolean): void {
    this.#reads -= 1
    if (isAlone) this.#alone -= 1
    this.#expectedBytes *= 0.98
    this.#admit()
  }

  #fitsRead(isAlone: boolean): boolean {
    if (isAlone && this.#alone >= MOST_ALONE) return false
    return this.#bytes + this.#reads * this.#expectedBytes < this.#mostBytes
  }

  /** Resolves once a read may begin, which is counted by then. */
  #room(isAlone: boolean): Promise<void> {
    return new Promise((admit, refuse) => {
      this.#queue.push({ since: performance.now(), isAlone, admit, refuse })
      if (this.#looking === null) this.#beginLooking()
    })
  }

  #admit(): void {
    for (
      let first = this.#queue[0];
      first !== undefined && this.#fitsRead(first.isAlone);
      first = this.#queue[0]
    ) {
      this.#queue.shift()
      this.#begin(first.isAlone)
      first.admit()
    }
  }

  #beginLooking(): void {
    for (const entry of this.#entries) entry.quietLooks = -1
    this.#looking = setInterval(() => this.#look(), LOOK_MS)
    this.#cutQuiet()
  }

  #look(): void {
    this.#cutQuiet()
    this.#refuseLate(performance.now() - ROOM_MS)
    if (this.#queue.length > 0 || this.#looking === null) return
    clearInterval(this.#looking)
    this.#looking = null
  }

  #refuseLate(before: number): void {
    for (let first = this.#queue[0]; first !== undefined && first.since <= before; first = this.#queue[0]) {
      this.#queue.shift()
      first.refuse(new Unavailable('too much waits for slow readers, or for the store; try again'))
    }
  }

  #cutQuiet(): void {
    for (const entry of this.#entries) {
      const taken = entry.taker.taken()
      entry.quietLooks = taken === entry.taken ? entry.quietLooks + 1 : 0
      entry.taken = taken
      if (entry.quietLooks < PATIENCE || this.#fitsRead(false)) continue
      entry.taker.cut()
      entry.release()
    }
  }
}
