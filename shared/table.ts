import type { z } from 'zod'

/** What a table may say of a field. */
interface Row {
  /** What it may be. */
  readonly schema: z.ZodType
  /** What may be said of it, where that is something else than what comes of it. */
  readonly option?: z.ZodType
  /** What holds where nobody says anything. */
  readonly usual?: unknown
  /**
   * Who sets a field of a job: its submission (of which some fields are labels), an option of submission or type, the store, or
   * events, which alone change a field once it is there.
   */
  readonly from?: 'submission' | 'label' | 'policy' | 'store' | 'events'
  /** Lists leave it out. */
  readonly isLarge?: true
  /** Handlers find it in their `ctx`. */
  readonly inContext?: true
  /** What it is for, in the reference and in OpenAPI: begins small, no full stop. */
  readonly about: string
}

/** Fields by their names, in the order of the reference. */
export type Table = Readonly<Record<string, Row>>

/** Holds a table to its form and keeps what it says to the letter. */
export function table<const Rows extends Table>(rows: Rows): Rows {
  return rows
}

/** The values of a table's fields. */
export type ValuesOf<Rows extends Table> = {
  -readonly [Name in keyof Rows]: z.output<Rows[Name]['schema']>
}

/** What holds where nobody said anything. */
export function usualOf<Rows extends Readonly<Record<string, Row & { readonly usual: unknown }>>>(
  rows: Rows,
): ValuesOf<Rows> {
  const usual = Object.entries(rows).map(([name, row]) => [name, row.usual])
  return Object.fromEntries(usual)
}

/** The names of the rows that say what `Mark` says. */
export type Marked<Rows extends Table, Mark> = {
  [Name in keyof Rows]: Rows[Name] extends Mark ? Name : never
}[keyof Rows]

/** The rows that say what `mark` says. */
export function withMark<Rows extends Table, const Mark extends Readonly<Record<string, unknown>>>(
  rows: Rows,
  mark: Mark,
): Pick<Rows, Marked<Rows, Mark>> {
  const found = Object.entries(rows).filter(([, row]) => says(row, mark))
  return Object.fromEntries(found) as Pick<Rows, Marked<Rows, Mark>>
}

/** The rows that do not. */
export function withoutMark<Rows extends Table, const Mark extends Readonly<Record<string, unknown>>>(
  rows: Rows,
  mark: Mark,
): Omit<Rows, Marked<Rows, Mark>> {
  const found = Object.entries(rows).filter(([, row]) => !says(row, mark))
  return Object.fromEntries(found) as Omit<Rows, Marked<Rows, Mark>>
}

function says(row: Row, mark: Readonly<Record<string, unknown>>): boolean {
  const said = new Map<string, unknown>(Object.entries(row))
  return Object.entries(mark).every(([name, value]) => said.get(name) === value)
}

export function namesOf<Rows extends Table>(rows: Rows): readonly (keyof Rows)[] {
  return Object.keys(rows)
}

/** Of an object the fields with these names. */
export function pick<Values extends object, Name extends keyof Values>(
  values: Values,
  names: readonly Name[],
): Pick<Values, Name> {
  const picked: Partial<Values> = {}
  for (const name of names) picked[name] = values[name]
  return picked as Pick<Values, Name>
}

/** What a zod object of these fields is made of. */
export function shapeOf<Rows extends Table>(
  rows: Rows,
): { -readonly [Name in keyof Rows]: Rows[Name]['schema'] } {
  const shape = Object.entries(rows).map(([name, { schema }]) => [name, schema])
  return Object.fromEntries(shape)
}

/** As `shapeOf`, of what may be said: the row's `option` where it has one, else what comes of it. */
export function optionShapeOf<Rows extends Table>(
  rows: Rows,
): {
  -readonly [Name in keyof Rows]: Rows[Name] extends { readonly option: infer Option extends z.ZodType }
    ? Option
    : Rows[Name]['schema']
} {
  const shape = Object.entries(rows).map(([name, { option, schema }]) => [name, option ?? schema])
  return Object.fromEntries(shape)
}

/** What is `said`, else what is `usual`, field by field: that very object where nothing is said. */
export function fill<Values extends object>(
  said: { readonly [Name in keyof Values]?: Values[Name] | undefined },
  usual: Values,
): Values {
  let filled = usual
  for (const name in usual) {
    const value = said[name]
    if (value === undefined) continue
    if (filled === usual) filled = { ...usual }
    filled[name] = value
  }
  return filled
}
