import type { Database, Statement, Value } from './database.ts'

/** Rows a statement; a call into the binding costs several times what one more row does. */
const MAX_ROWS = 128

/** Collects rows for one table and writes them many at a time. */
export class BulkInsert {
  readonly #database: Database
  readonly #table: string
  readonly #columns: readonly string[]
  /** One a power of two of rows, made when first needed. */
  readonly #statements = new Map<number, Statement>()
  /** Row after row. */
  #values: Value[] = []

  constructor(database: Database, table: string, columns: readonly string[]) {
    this.#database = database
    this.#table = table
    this.#columns = columns
  }

  add(row: readonly Value[]): void {
    for (const value of row) this.#values.push(value)
  }

  /** Writes what was collected. */
  flush(): void {
    const values = this.#values
    if (values.length === 0) return
    const width = this.#columns.length
    let written = 0
    for (let rows = MAX_ROWS; written < values.length; rows /= 2) {
      while (values.length - written >= rows * width) {
        this.#statement(rows).run(values.slice(written, written + rows * width))
        written += rows * width
      }
    }
    this.#values = []
  }

  /** Forgets what was collected. */
  discard(): void {
    this.#values = []
  }

  #statement(rows: number): Statement {
    const known = this.#statements.get(rows)
    if (known !== undefined) return known
    const row = `(${this.#columns.map(() => '?').join(', ')})`
    const statement = this.#database.prepare(
      `INSERT INTO ${this.#table} (${this.#columns.join(', ')}) VALUES ${Array(rows).fill(row).join(', ')}`,
    )
    this.#statements.set(rows, statement)
    return statement
  }
}
