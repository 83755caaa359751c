import { Link } from 'wouter'
import type { StatusCounts } from '../../../shared/api.ts'
import { JOB_STATUSES } from '../../../shared/status.ts'
import { formatNumber } from '../common/format.ts'
import { STATUS, StatusIcon } from '../common/status.tsx'
import classes from './counts.module.css'

/** How many jobs there are in each status; each leads to their list. */
export function Counts({ counts }: { counts: StatusCounts }) {
  return (
    <ul className={classes.counts} aria-label="Jobs by status">
      {JOB_STATUSES.map((status) => (
        <li key={status}>
          <Link href={`/?status=${status}`} className={classes.count}>
            <span className={classes.label}>
              <span aria-hidden className={classes.sign}>
                <StatusIcon status={status} size={15} />
              </span>
              {STATUS[status].label}
            </span>
            <span className={classes.number}>{formatNumber(counts[status])}</span>
          </Link>
        </li>
      ))}
    </ul>
  )
}
