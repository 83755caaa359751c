import { useCallback, useMemo, useState } from 'react'
import type { SubmitAnswer } from '../../shared/api.ts'
import type { Submission, SubmitCall } from '../client.ts'
import { JobcastError } from '../errors.ts'
import { useClient } from './provider.ts'

export interface UseSubmitJob {
  /** Rejects with a `JobcastError`, which `error` shows as well. */
  submit(submission: Submission & SubmitCall): Promise<SubmitAnswer>
  readonly submitting: boolean
  readonly error: JobcastError | null
  /** The answer to the last submission. */
  readonly submitted: SubmitAnswer | null
}

type State =
  | { readonly kind: 'idle' | 'submitting' }
  | { readonly kind: 'done'; readonly answer: SubmitAnswer }
  | { readonly kind: 'failed'; readonly error: JobcastError }

/** Submits jobs without watching them. */
export function useSubmitJob(): UseSubmitJob {
  const client = useClient()
  const [state, setState] = useState<State>({ kind: 'idle' })
  const submit = useCallback(
    async (submission: Submission & SubmitCall) => {
      setState({ kind: 'submitting' })
      try {
        const answer = await client.submit(submission)
        setState({ kind: 'done', answer })
        return answer
      } catch (error) {
        if (error instanceof JobcastError) setState({ kind: 'failed', error })
        else setState({ kind: 'idle' })
        throw error
      }
    },
    [client],
  )
  return useMemo(
    () => ({
      submit,
      submitting: state.kind === 'submitting',
      error: state.kind === 'failed' ? state.error : null,
      submitted: state.kind === 'done' ? state.answer : null,
    }),
    [submit, state],
  )
}
