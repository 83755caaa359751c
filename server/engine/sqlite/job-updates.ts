import { type Bulk, bulkUpdate } from './bulk.ts'
import type { Database } from './database.ts'
import { COLUMNS, encodeField, type JobRow, type StoredField } from './job-row.ts'

interface Group {
  readonly fields: readonly StoredField[]
  readonly bulk: Bulk
  rows: JobRow[]
}

/**
 * Changes of jobs that are still to be written. Those of the same fields, as most of one transaction are, go in one
 * statement. What is written is the row as it is by then, so the order in which a row was changed does not matter.
 */
export class JobUpdates {
  readonly #database: Database
  /** By the fields that they set: every kind of step has a few of its own. */
  readonly #groups = new Map<string, Group>()

  constructor(database: Database) {
    this.#database = database
  }

  add(row: JobRow, fields: readonly StoredField[]): void {
    const key = fields.join()
    let group = this.#groups.get(key)
    if (group === undefined) {
      const columns = fields.map((field) => COLUMNS[field])
      group = { fields, bulk: bulkUpdate(this.#database, 'jobs', 'n', columns), rows: [] }
      this.#groups.set(key, group)
    }
    group.rows.push(row)
  }

  flush(): void {
    for (const group of this.#groups.values()) {
      if (group.rows.length === 0) continue
      for (const row of group.rows) {
        group.bulk.add([row.n, ...group.fields.map((field) => encodeField(row, field))])
      }
      group.rows = []
      group.bulk.flush()
    }
  }

  discard(): void {
    for (const group of this.#groups.values()) {
      group.rows = []
      group.bulk.discard()
    }
  }
}
