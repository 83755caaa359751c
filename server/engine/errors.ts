/** The store cannot be used now and nothing was changed. The message is one line for an operator. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
}

/** A change was sent to the store and its answer was lost: it may or may not have happened. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown'
  readonly jobIds: readonly string[]

  constructor(message: string, jobIds: readonly string[]) {
    super(message)
    this.jobIds = jobIds
  }
}

/** The idempotency key was used before, with another body. */
export class IdempotencyMismatch extends Error {
  override readonly name = 'IdempotencyMismatch'
}

/** The `page` of a list is none that a list returned. */
export class BadPage extends Error {
  override readonly name = 'BadPage'
}

/** Whether a call failed for no other reason than that the store, or its answer, was away. */
export function isOutage(error: unknown): error is Unavailable | OutcomeUnknown {
  return error instanceof Unavailable || error instanceof OutcomeUnknown
}
