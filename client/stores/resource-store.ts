import { JobcastError } from '../errors.ts'
import { VisibleTimer } from '../page-life.ts'
import { Store } from '../store.ts'

export interface ResourceState<T> {
  /** The last answer; it stays while a refresh fails. */
  readonly data: T | null
  readonly loading: boolean
  readonly error: JobcastError | null
}

/** Something on the server, read again every `refreshMs` while somebody listens and the page is visible. */
export class ResourceStore<T> extends Store<ResourceState<T>> {
  readonly #read: (signal: AbortSignal) => Promise<T>
  readonly #timer: VisibleTimer
  #abort: AbortController | null = null

  constructor(refreshMs: number, read: (signal: AbortSignal) => Promise<T>) {
    super({ data: null, loading: true, error: null })
    this.#read = read
    // A refresh that takes longer than the interval is not overtaken.
    this.#timer = new VisibleTimer(refreshMs, () => {
      if (this.#abort === null) void this.refresh()
    })
  }

  /** Reads it now. Never rejects: what went wrong is in the state. */
  readonly refresh = async (): Promise<void> => {
    this.#abort?.abort()
    const abort = new AbortController()
    this.#abort = abort
    try {
      const data = await this.#read(abort.signal)
      if (this.#abort === abort) this.set({ data, loading: false, error: null })
    } catch (error) {
      if (this.#abort !== abort) return
      const shown = error instanceof JobcastError ? error : new JobcastError('network', String(error))
      this.set({ ...this.getSnapshot(), loading: false, error: shown })
    } finally {
      if (this.#abort === abort) this.#abort = null
    }
  }

  protected override activated(): void {
    this.#timer.start()
    void this.refresh()
  }

  protected override deactivated(): void {
    this.#timer.stop()
    this.#abort?.abort()
    this.#abort = null
  }
}
