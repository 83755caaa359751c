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
  #rows: Value[][] = []

  constructor(database: Database, table: string, columns: readonly string[]) {
    this.#database = database
    this.#table = table
    this.#columns = columns
  }

  add(row: Value[]): void {
    this.#rows.push(row)
  }

  /** Writes what was collected. */
  flush(): void {
    const rows = this.#rows
    let written = 0
    for (let size = MAX_ROWS; written < rows.length; size = size / 2) {
      for (; rows.length - written >= size; written += size) {
        this.#statement(size).run(rows.slice(written, written + size).flat())
      }
    }
    if (written > 0) this.#rows = []
  }

  /** Forgets what was collected. */
  discard(): void {
    this.#rows = []
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
