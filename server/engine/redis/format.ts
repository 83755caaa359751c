/**
 * What processes of several versions that share a store have to know of one another, as `<version> <oldest>` in the key
 * `format`. Whatever writes something that the release before did not know raises the version: an older process passes over what
 * it does not know (`NewerWords`) and works on. What it would misread, or spoil, raises the oldest as well: from then on an
 * older process does not begin, and one that runs finds it within 13 s, and takes no more part.
 */
export const FORMAT = { version: 1, oldest: 1 } as const

interface Format {
  /** Of the newest process that has used the store. */
  readonly version: number
  /** The lowest version that may. */
  readonly oldest: number
}

/** Null where nothing is stored. What cannot be read is of a version that this one can only be too old for. */
function parseFormat(stored: string): Format | null {
  if (stored === '') return null
  const match = /^(\d{1,9}) (\d{1,9})( |$)/.exec(stored)
  return match === null
    ? { version: Infinity, oldest: Infinity }
    : { version: Number(match[1]), oldest: Number(match[2]) }
}

/** Whether this version has to say that it is there. */
export function isBehind(stored: string): boolean {
  const format = parseFormat(stored)
  return format === null || format.version < FORMAT.version
}

/** Why a store with this format may not be used by this version, or null. */
export function objectionToFormat(stored: string): string | null {
  const format = parseFormat(stored)
  if (format === null || format.oldest <= FORMAT.version) return null
  const version = format.version === Infinity ? 'that it cannot read' : `${format.version}`
  return (
    `holds what a newer version of Jobcast has written (format ${version}, this one knows ${FORMAT.version}): ` +
    'install that version or newer, or set JOBCAST_PREFIX to another one'
  )
}
