import { Alert, Button } from '@mantine/core'
import { IconAlertCircle, IconArrowRight } from '@tabler/icons-react'
import { useState } from 'react'
import { useLocation } from 'wouter'
import type { SubmitOptions } from '../../../shared/options.ts'
import { JobcastError } from '../../index.ts'
import { useClient } from '../../react/index.ts'
import type { Json } from '../common/json.tsx'
import { explain } from '../common/words.ts'

interface Problem {
  readonly path: string
  readonly message: string
}

/** What the server said against a submission. */
interface Problems {
  /** What is wrong with a form's field, by its name in the payload: `widths` also collects `payload.widths.0`. */
  of(field: string): string | undefined
  /** All that is wrong within the payload, by its path there. */
  readonly listed: readonly Problem[]
  /** What belongs to none of the fields. */
  readonly general: string | null
}

interface FormSubmission {
  readonly isSending: boolean
  readonly problems: Problems
  /** Submits, and goes to the job's page. */
  send(payload: Json, options?: SubmitOptions): Promise<void>
}

/** One form's way to the server. `fields` are those that show their own problems; left out: the form lists them all. */
export function useSubmission(type: string, fields?: readonly string[]): FormSubmission {
  const client = useClient()
  const [, navigate] = useLocation()
  const [isSending, setSending] = useState(false)
  const [error, setError] = useState<unknown>(null)

  async function send(payload: Json, options?: SubmitOptions) {
    setSending(true)
    setError(null)
    try {
      const { jobId } = await client.submit({ type, payload, ...(options && { options }) })
      navigate(`/jobs/${encodeURIComponent(jobId)}`)
    } catch (problem) {
      setError(problem)
    } finally {
      setSending(false)
    }
  }

  return { isSending, problems: problemsOf(error, fields), send }
}

function problemsOf(error: unknown, fields: readonly string[] | undefined): Problems {
  const all = error instanceof JobcastError ? error.errors : []
  const isShown = (path: string) =>
    fields === undefined
      ? isWithin(path, 'payload')
      : fields.some((field) => isWithin(path, `payload.${field}`))
  const stray = all.filter(({ path }) => !isShown(path))
  return {
    of: (field) => all.find(({ path }) => isWithin(path, `payload.${field}`))?.message,
    listed: all
      .filter(({ path }) => isWithin(path, 'payload'))
      .map(({ path, message }) => ({ path: path.replace('payload.', ''), message })),
    general: generalProblem(error, all.length > 0, stray),
  }
}

function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}.`)
}

function generalProblem(error: unknown, hasList: boolean, stray: readonly Problem[]): string | null {
  if (error === null) return null
  if (stray.length > 0) return stray.map(({ path, message }) => `${path}: ${message}`).join('\n')
  if (hasList) return null
  const { title, text } = explain(error)
  return `${title}. ${text}`
}

/** The end of every submit form: what is wrong as a whole, and the button. */
export function SubmitBar({
  label,
  isSending,
  general,
}: {
  label: string
  isSending: boolean
  general: string | null
}) {
  return (
    <>
      {general !== null && (
        <Alert
          color="red"
          variant="light"
          icon={<IconAlertCircle size={18} />}
          role="alert"
          styles={{
            message: { whiteSpace: 'pre-line', overflowWrap: 'anywhere', color: 'var(--jc-red-text)' },
          }}
        >
          {general}
        </Alert>
      )}
      <Button
        type="submit"
        size="md"
        fullWidth
        loading={isSending}
        rightSection={<IconArrowRight size={16} stroke={2} aria-hidden />}
      >
        {label}
      </Button>
    </>
  )
}
