import { Agent, request } from 'node:http'
import { within } from './within.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: unknown
  /** From the request to the whole answer. */
  readonly ms: number
}

export interface CallOptions {
  /** JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly agent?: Agent | false
  /** How long it may take at most, in ms; 4,000 where left out. */
  readonly longestMs?: number
}

/** The server said nothing for as long as it may at most. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

/** Where nothing large is to be carried, no call has a deadline of its own but that of the store, two seconds; then two more. */
const LONGEST_MS = 4000

/** Connections that are used again, for many calls; `destroy` closes them. */
export function manyCalls(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 10 })
}

/**
 * One call, where no agent is given on a connection of its own, so that nothing of it is left open. Rejects with `NoAnswer`, or with the
 * error of a connection that cannot be made or breaks.
 */
export function call(
  address: string,
  method: string,
  { body, headers = {}, agent = false, longestMs = within(LONGEST_MS) }: CallOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const started = performance.now()
    const outgoing = request(address, { method, headers, agent }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (piece: string) => {
        text += piece
      })
      incoming.on('error', reject)
      incoming.on('end', () => {
        clearTimeout(timer)
        const ms = performance.now() - started
        const { statusCode: status = 0, headers } = incoming
        const isJson = /\bjson\b/.test(headers['content-type'] ?? '')
        resolve({ status, headers, ms, body: isJson ? JSON.parse(text) : text })
      })
    })
    const timer = setTimeout(
      () => outgoing.destroy(new NoAnswer(`${method} ${address}: no answer in ${longestMs} ms`)),
      longestMs,
    )
    outgoing.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    if (body !== undefined) outgoing.setHeader('Content-Type', 'application/json')
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
