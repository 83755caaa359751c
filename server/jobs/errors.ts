/** Thrown by a handler to say that no further attempt will help. */
export class UnrecoverableError extends Error {
  override readonly name = 'UnrecoverableError'
}
