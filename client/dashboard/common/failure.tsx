import { JobcastError } from '../../index.ts'
import { SignIn } from '../session/sign-in.tsx'
import { explain } from './explain.ts'
import { Notice } from './notice.tsx'

/** Something could not be loaded: says why, and offers another try or, where a key is wanted, to sign in. */
export function Failure({ error, retry }: { error: unknown; retry(): void }) {
  if (isUnauthorized(error)) return <SignIn />
  const { title, text } = explain(error)
  return <Notice tone="bad" title={title} text={text} action={{ label: 'Try again', run: retry }} />
}

export function isUnauthorized(error: unknown): boolean {
  return error instanceof JobcastError && error.code === 'unauthorized'
}
