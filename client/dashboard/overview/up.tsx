import { useKnownTime } from '../common/clock.ts'
import { between, formatTicking } from '../common/format.ts'

/** How long a process has been running. */
export function Up({ since }: { since: string }) {
  return formatTicking(between(since, useKnownTime()))
}
