import { createJobClient, createJobServer, type JobServer } from 'jobcast'
import { jobs, resize, wordCount } from './jobs.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never
function same<A, B>(_: Equal<A, B>): void {}

/** The client of an embedded server knows its jobs. */
export async function embedded(): Promise<void> {
  const server = createJobServer({ jobs, store: 'memory', concurrency: 2 })
  const counted = await server.client.run({ type: 'word-count', payload: { text: 'x' } })
  same<typeof counted, { words: number; year: number; at: string }>(true)
  // @ts-expect-error no such type
  await server.client.submit({ type: 'wrod-count', payload: { text: 'x' } })
  // @ts-expect-error no such option
  createJobServer({ jobs, concurency: 2 })
  const inline = createJobServer({ jobs: [wordCount, resize], store: { redis: 'redis://localhost' } })
  const resized = await inline.client.run({ type: 'resize', payload: { width: 3 } })
  same<typeof resized, string>(true)
  const producer = createJobClient({ redis: 'redis://localhost', jobs: [wordCount, resize] })
  // @ts-expect-error no such type
  await producer.submit({ type: 'paint', payload: { scene: 'x' } })
  await producer.submit({ type: 'resize', payload: { width: 3 } })
  const named = createJobClient<typeof jobs>({ redis: 'redis://localhost' })
  // @ts-expect-error the payload of another type
  await named.submit({ type: 'paint', payload: { width: 3 } })
  await createJobClient({ redis: 'redis://localhost' }).submit({ type: 'any', payload: 1 })
  const any: JobServer = server
  await any.stop()
}
