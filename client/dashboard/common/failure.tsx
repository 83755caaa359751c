import { JobcastError } from '../../index.ts'
import { SignIn } from '../session/sign-in.tsx'
import { explain } from './explain.ts'
import { Notice } from './notice.tsx'

interface FailureProps {
  readonly error: unknown
  /** Nothing else is on the page. */
  readonly isPage?: boolean
  retry(): void
}

/** Something could not be loaded: says why, and offers another try or, where a key is wanted, to sign in. */
export function Failure({ error, isPage = false, retry }: FailureProps) {
  if (isUnauthorized(error)) return <SignIn isPage={isPage} />
  const { title, text } = explain(error)
  return (
    <Notice
      tone="bad"
      isPage={isPage}
      title={title}
      text={text}
      action={{ label: 'Try again', run: retry }}
    />
  )
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof JobcastError && error.code === 'unauthorized'
}
