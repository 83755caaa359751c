import type { ReactNode } from 'react'
import type { Job } from '../../../shared/job.ts'
import { useApiKey } from '../api-key.tsx'
import { useKnownTime } from '../common/clock.ts'
import { between, formatDateTime, formatDuration, formatTicking } from '../common/format.ts'
import { Copy, Section } from '../common/parts.tsx'
import { ROOT } from '../root.ts'
import classes from './facts.module.css'

/** A job's figures. */
export function Facts({ job }: { job: Job }) {
  const { createdAt, startedAt, completedAt, scheduledFor, expiresAt, status } = job
  const isFirstRun = job.attempt === 1 && job.stalls === 0
  return (
    <Section title="Details">
      <dl className={classes.facts}>
        <Fact name="Submitted">{formatDateTime(createdAt)}</Fact>
        {scheduledFor !== null && <Fact name="Scheduled for">{formatDateTime(scheduledFor)}</Fact>}
        {startedAt !== null && <Fact name="Started">{formatDateTime(startedAt)}</Fact>}
        {startedAt !== null && isFirstRun && (
          <Fact name="Waited">{formatDuration(between(createdAt, startedAt))}</Fact>
        )}
        {startedAt !== null && completedAt !== null && (
          <Fact name="Ran for">{formatDuration(between(startedAt, completedAt))}</Fact>
        )}
        {startedAt !== null && status === 'processing' && (
          <Fact name="Running for">
            <Ticking since={startedAt} />
          </Fact>
        )}
        {status === 'queued' && (
          <Fact name="In line for">
            <Ticking since={createdAt} />
          </Fact>
        )}
        {completedAt !== null && !isFirstRun && (
          <Fact name="Took in all">{formatDuration(between(createdAt, completedAt))}</Fact>
        )}
        <Fact name="Attempt">
          {job.attempt} of {job.maxAttempts}
        </Fact>
        <Fact name="Stalls">{job.stalls}</Fact>
        <Fact name="Priority">{job.priority}</Fact>
        {expiresAt !== null && <Fact name="Kept until">{formatDateTime(expiresAt)}</Fact>}
        {job.tags.length > 0 && (
          <Fact name="Tags">
            <span className={classes.tags}>
              {job.tags.map((tag) => (
                <span key={tag} className={classes.tag}>
                  {tag}
                </span>
              ))}
            </span>
          </Fact>
        )}
      </dl>
    </Section>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className={classes.fact}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Ticking({ since }: { since: string }) {
  return formatTicking(between(since, useKnownTime()))
}

/** The same job from a shell: commands to copy. The API key itself is never shown. */
export function WatchFromTerminal({ jobId }: { jobId: string }) {
  const header = useApiKey().apiKey === null ? '' : ' -H "Authorization: Bearer $JOBCAST_KEY"'
  const id = encodeURIComponent(jobId)
  const socket = `${ROOT.replace(/^http/, 'ws')}/ws?job=${id}`
  return (
    <Section title="From a terminal">
      <Command what="curl command" text={`curl${header} "${ROOT}/api/jobs/${id}"`} />
      <Command what="wscat command" text={`npx wscat${header} -c "${socket}"`} />
    </Section>
  )
}

function Command({ what, text }: { what: string; text: string }) {
  return (
    <div className={classes.command}>
      <code className={classes.text}>{text}</code>
      <Copy text={text} what={what} />
    </div>
  )
}
