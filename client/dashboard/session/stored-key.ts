const ITEM = 'jobcast.api-key'

/** The tab's API key; null where none was given or storage is refused. It never outlives the tab. */
export function readKey(): string | null {
  try {
    return sessionStorage.getItem(ITEM)
  } catch {
    return null
  }
}

export function storeKey(key: string): void {
  try {
    sessionStorage.setItem(ITEM, key)
  } catch {
    // Storage may be refused; the key then lasts until the page is loaded again.
  }
}

export function forgetKey(): void {
  try {
    sessionStorage.removeItem(ITEM)
  } catch {
    // Nothing was stored either.
  }
}
