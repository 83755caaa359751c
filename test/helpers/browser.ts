import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

/** Names of a whole browser, and of the same without windows, which takes half the time. */
const WHOLE = ['chromium', 'chromium-browser', 'google-chrome']
const SHELL = ['chromium-headless-shell']

/** A browser that keeps to itself: no sandbox (the tests may run as root), no calls home. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/**
 * Starts Chromium without a window: its headless shell (`CHROMIUM_SHELL_BIN`, else the one on the PATH) where there is
 * one and nothing `whole` is asked for, otherwise the whole browser (`CHROMIUM_BIN`, else the one on the PATH).
 */
export function openBrowser({ whole = false } = {}): Promise<Browser> {
  const { CHROMIUM_BIN, CHROMIUM_SHELL_BIN } = process.env
  const shell = whole ? undefined : (CHROMIUM_SHELL_BIN ?? onPath(SHELL))
  const executablePath = shell ?? CHROMIUM_BIN ?? onPath(WHOLE)
  if (executablePath === undefined)
    throw new Error('no Chromium on the PATH: install it, or set CHROMIUM_BIN to its path')
  return chromium.launch({ executablePath, args: ARGS })
}

function onPath(names: readonly string[]): string | undefined {
  const places = (process.env.PATH ?? '').split(delimiter)
  return places.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
