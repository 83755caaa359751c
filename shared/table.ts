import type { z } from 'zod'

/** What is known of a field; a table may say more of its own. */
interface Row {
  readonly schema: z.ZodType
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

/** What a zod object of these fields is made of; OpenAPI shows what each is for. */
export function shapeOf<Rows extends Table>(
  rows: Rows,
): { -readonly [Name in keyof Rows]: Rows[Name]['schema'] } {
  const shape = Object.entries(rows).map(([name, { schema, about }]) => [
    name,
    schema.meta({ description: about }),
  ])
  return Object.fromEntries(shape)
}

type OptionRow = Row & { readonly option?: z.ZodType }

/** As `shapeOf`, of what may be said: the row's `option` where it has one, else what comes of it. */
export function optionShapeOf<Rows extends Readonly<Record<string, OptionRow>>>(
  rows: Rows,
): {
  -readonly [Name in keyof Rows]: Rows[Name] extends { readonly option: infer Option extends z.ZodType }
    ? Option
    : Rows[Name]['schema']
} {
  const shape = Object.entries(rows).map(([name, { option, schema, about }]) => [
    name,
    (option ?? schema).meta({ description: about }),
  ])
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
