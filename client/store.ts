export type Unsubscribe = () => void

/**
 * A value that changes. It is a store of Svelte's (`$value` in a component), what `useSyncExternalStore` of React asks for,
 * and what `useStore` of `jobcast/vue` makes a ref of.
 */
export interface Readable<T> {
  /** Calls at once with the value, and then with every other one, until what it returns is called. */
  subscribe(listener: (value: T) => void): Unsubscribe
  /** The same object until something changed. */
  getSnapshot(): T
}

/** Calls what users passed in; what it throws is reported and stops nothing of ours. */
export function guarded<Arguments extends unknown[]>(
  call: ((...args: Arguments) => void) | undefined,
  ...args: Arguments
): void {
  try {
    call?.(...args)
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
  readonly subscribe = (listener: (value: T) => void): Unsubscribe => {
    const entry = () => guarded(listener, this.#value)
    this.#listeners.add(entry)
    if (this.#listeners.size === 1) this.activated()
    entry()
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
