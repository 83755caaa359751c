import { getRequestListener } from '@hono/node-server'

type Body = ConstructorParameters<typeof Response>[0]

/**
 * What a route answers: a `Response` that the listener of Node writes as it is, without making streams and lists of headers of
 * it first, and from which one of the runtime's own is made where `fetch` was called.
 */
export class Answer extends lightResponse() {
  /** The body, as it was given. */
  readonly source: Body

  constructor(body: Body, init?: ResponseInit) {
    super(body, init)
    this.source = body
  }

  override text(): Promise<string> {
    return typeof this.source === 'string' ? Promise.resolve(this.source) : super.text()
  }

  /** A `Response` of the runtime's own, which hosts other than Node's listener ask for. */
  toResponse(): Response {
    return new Response(this.source, { status: this.status, headers: this.headers })
  }
}

/**
 * The listener's own light class. It is not exported: the library puts it in place of the global one, for the whole process,
 * of which this may be somebody else's. So it is taken from there, and what was there is put back before anybody can look.
 */
function lightResponse(): typeof Response {
  const names = ['Request', 'Response'] as const
  const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name))
  getRequestListener(() => null)
  const light = globalThis.Response
  names.forEach((name, at) => {
    const descriptor = before[at]
    if (descriptor !== undefined) Object.defineProperty(globalThis, name, descriptor)
  })
  return light
}
