import type { Database, Statement, Value } from './database.ts'

/** Rows a statement; a call into the binding costs several times what one more row does. */
const MAX_ROWS = 128

/** Collects rows for one kind of statement, and writes them many at a time. */
export class Bulk {
  readonly #database: Database
  readonly #width: number
  readonly #sql: (values: string) => string
  /** One a power of two of rows, made when first needed. */
  readonly #statements = new Map<number, Statement>()
  /** Row after row. */
  #values: Value[] = []

  /** `width`: values a row. `sql`: the statement, from `(?, …), (?, …), …`. */
  constructor(database: Database, width: number, sql: (values: string) => string) {
    this.#database = database
    this.#width = width
    this.#sql = sql
  }

  add(row: readonly Value[]): void {
    for (const value of row) this.#values.push(value)
  }

  /** Writes what was collected. */
  flush(): void {
    const values = this.#values
    if (values.length === 0) return
    this.#values = []
    let written = 0
    for (let rows = MAX_ROWS; written < values.length; rows /= 2) {
      const size = rows * this.#width
      for (; values.length - written >= size; written += size) {
        this.#statement(rows).run(values.slice(written, written + size))
      }
    }
  }

  /** Forgets what was collected. */
  discard(): void {
    this.#values = []
  }

  #statement(rows: number): Statement {
    const known = this.#statements.get(rows)
    if (known !== undefined) return known
    const row = `(${Array(this.#width).fill('?').join(', ')})`
    const statement = this.#database.prepare(this.#sql(Array(rows).fill(row).join(', ')))
    this.#statements.set(rows, statement)
    return statement
  }
}

export function bulkInsert(database: Database, table: string, columns: readonly string[]): Bulk {
  return new Bulk(
    database,
    columns.length,
    (values) => `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${values}`,
  )
}
