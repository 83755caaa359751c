export type Unsubscribe = () => void

/** A value that changes: what `useSyncExternalStore` asks for. */
export interface Readable<T> {
  subscribe(listener: () => void): Unsubscribe
  /** The same object until something changed. */
  getSnapshot(): T
}

/** Calls what users passed in; what it throws is reported and stops nothing of ours. */
export function guarded(call: () => void): void {
  try {
    call()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

/** Holds one immutable value and tells its listeners when it was replaced. */
export class Store<T> implements Readable<T> {
  #value: T
  readonly #listeners = new Set<() => void>()

  constructor(initial: T) {
    this.#value = initial
  }

  // Arrow functions, so that they can be handed to React as they are.
  readonly subscribe = (listener: () => void): Unsubscribe => {
    const entry = () => guarded(listener)
    this.#listeners.add(entry)
    if (this.#listeners.size === 1) this.activated()
    return () => {
      if (this.#listeners.delete(entry) && this.#listeners.size === 0) this.deactivated()
    }
  }

  readonly getSnapshot = (): T => this.#value

  get active(): boolean {
    return this.#listeners.size > 0
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return
    this.#value = value
    for (const listener of [...this.#listeners]) listener()
  }

  /** The first listener came. */
  protected activated(): void {}
  /** The last listener left. */
  protected deactivated(): void {}
}
