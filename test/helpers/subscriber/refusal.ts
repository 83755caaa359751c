import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { Problem } from '../../../shared/api.ts'
import type { Told } from './wire.ts'

/** What an answer other than 200 says; one that is no problem of ours comes from something in between. */
export async function refusalOf(answer: IncomingMessage): Promise<Told> {
  const { statusCode = 0, headers } = answer
  const retry = statusCode === 429 || statusCode >= 500
  try {
    const body = await text(answer)
    const isProblem = headers['content-type'] === 'application/problem+json'
    return {
      told: 'refused',
      code: isProblem ? Problem.parse(JSON.parse(body)).code : `${statusCode}`,
      retry,
    }
  } catch {
    return { told: 'closed', code: null }
  }
}
