import { Copy } from '../common/copy.tsx'
import { Section } from '../common/section.tsx'
import { useSession } from '../session/session.tsx'
import classes from './watch-from-terminal.module.css'

/** The same job from a shell: commands to copy. The API key itself is never shown. */
export function WatchFromTerminal({ jobId }: { jobId: string }) {
  const header = useSession().apiKey === null ? '' : ' -H "Authorization: Bearer $JOBCAST_KEY"'
  const id = encodeURIComponent(jobId)
  const socket = `${location.origin.replace(/^http/, 'ws')}/ws?job=${id}`
  return (
    <Section title="From a terminal">
      <Command what="curl command" text={`curl${header} "${location.origin}/api/jobs/${id}"`} />
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
