import { useState } from 'react'
import { useLocation } from 'wouter'
import type { SubmitOptions } from '../../../shared/options.ts'
import { JobcastError } from '../../index.ts'
import { useClient } from '../../react/index.ts'
import { explain } from '../common/explain.ts'
import type { Json } from '../common/shorten.ts'

/** What the server said against a submission. */
interface Problems {
  /** Of a form's field, by its name in the payload: `widths` also collects `payload.widths.0`. */
  of(field: string): string | undefined
  /** What belongs to none of the fields. */
  readonly general: string | null
}

interface Submission {
  readonly isSending: boolean
  readonly problems: Problems
  /** Submits, and goes to the job's page. */
  send(payload: Json, options?: SubmitOptions): Promise<void>
}

/** One form's way to the server. `fields` are those that show their own problems. */
export function useSubmission(type: string, fields: readonly string[]): Submission {
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

function problemsOf(error: unknown, fields: readonly string[]): Problems {
  const listed = error instanceof JobcastError ? error.errors : []
  const unplaced = listed.filter(({ path }) => !fields.some((field) => belongsTo(path, field)))
  return {
    of: (field) => listed.find(({ path }) => belongsTo(path, field))?.message,
    general: generalProblem(error, listed.length > 0, unplaced),
  }
}

function belongsTo(path: string, field: string): boolean {
  return path === `payload.${field}` || path.startsWith(`payload.${field}.`)
}

function generalProblem(
  error: unknown,
  hasList: boolean,
  unplaced: readonly { path: string; message: string }[],
): string | null {
  if (error === null) return null
  if (unplaced.length > 0) return unplaced.map(({ path, message }) => `${path}: ${message}`).join('\n')
  if (hasList) return null
  const { title, text } = explain(error)
  return `${title}. ${text}`
}
