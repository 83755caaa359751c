import { type ReactNode, useId } from 'react'
import classes from './data-table.module.css'
import { Scroller } from './parts.tsx'

export interface Column<Row> {
  readonly title: string
  /** Figures stand to the right. */
  readonly isNumber?: boolean
  cell(row: Row): ReactNode
}

interface DataTableProps<Row> {
  readonly title: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  keyOf(row: Row): string
  /** Said in place of rows. */
  readonly empty: string
}

/** A titled table that scrolls by itself where the window is narrow. The first column heads its row. */
export function DataTable<Row>({ title, columns, rows, keyOf, empty }: DataTableProps<Row>) {
  const id = useId()
  return (
    <section className={classes.card} aria-labelledby={id}>
      <h2 id={id} className={classes.title}>
        {title}
      </h2>
      {rows.length === 0 ? (
        <p className={classes.empty}>{empty}</p>
      ) : (
        <Scroller label={title} className={classes.scroll}>
          <table className={classes.table}>
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column.title} scope="col" data-number={column.isNumber}>
                    {column.title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={keyOf(row)}>
                  {columns.map((column, index) =>
                    index === 0 ? (
                      <th key={column.title} scope="row">
                        {column.cell(row)}
                      </th>
                    ) : (
                      <td key={column.title} data-number={column.isNumber}>
                        {column.cell(row)}
                      </td>
                    ),
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroller>
      )}
    </section>
  )
}
