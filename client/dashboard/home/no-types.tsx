import { Text, Title } from '@mantine/core'
import { Copy } from '../common/parts.tsx'
import classes from './no-types.module.css'

const JOBS = `// jobs.mjs
import { defineJob } from 'jobcast'

export const hello = defineJob({
  type: 'hello',
  run: ({ name }) => \`Hello, \${name}!\`,
})

export const jobs = [hello]`

const START = 'npx jobcast dev jobs.mjs'

/** In place of a form where there is nothing to submit: what to do about it. */
export function NoTypes() {
  return (
    <div className={classes.notice}>
      <Title order={2}>No job types yet</Title>
      <Text size="sm" c="dimmed">
        A server runs what you define. Write down a job:
      </Text>
      <Code text={JOBS} what="jobs file" />
      <Text size="sm" c="dimmed">
        Then start the server with it, and come back:
      </Text>
      <Code text={START} what="command" />
    </div>
  )
}

function Code({ text, what }: { text: string; what: string }) {
  return (
    <div className={classes.code}>
      <pre>{text}</pre>
      <Copy text={text} what={what} />
    </div>
  )
}
