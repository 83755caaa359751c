import type { Submitted } from '../engine.ts'

/** Characters of tags; with more, the message says only that there are many. */
const MOST_CHARACTERS = 2048
const MANY = '*'

/** What is published of the jobs of a call: their types, and behind a line break their tags as JSON, `*` or nothing. */
export function encodeSubmitted(
  jobs: Iterable<{ readonly type: string; readonly tags: readonly string[] }>,
): string {
  const types = new Set<string>()
  const tags = new Set<string>()
  for (const job of jobs) {
    types.add(job.type)
    for (const tag of job.tags) tags.add(tag)
  }
  const names = [...types].join(' ')
  if (tags.size === 0) return names
  const all = JSON.stringify([...tags])
  return `${names}\n${all.length > MOST_CHARACTERS ? MANY : all}`
}

export function decodeSubmitted(message: string): Submitted {
  const [names = '', tags] = message.split('\n')
  const types = names.split(' ')
  if (tags === undefined) return { types, tags: [] }
  return { types, tags: tags === MANY ? null : JSON.parse(tags) }
}
