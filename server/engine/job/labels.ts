import { type Labels, NO_LABELS } from '../../../shared/options.ts'
import { fill } from '../../../shared/table.ts'
import { decodeNamed, encodeNamed } from './named.ts'

/**
 * How stores keep the labels of a job: its tags as an array, which readers may look for in the text, and behind them by their
 * names all other labels that say something. So a label is added as a row of `LABELS`, and nothing here or in an engine
 * changes; a process that does not know it passes it over.
 */

const PLACED: ReadonlySet<string> = new Set<keyof Labels>(['tags'])
/** An array of texts. */
const TAGS = /^\[(?:"(?:[^"\\]|\\.)*",?)*\]/

/** Empty where nothing is said. */
export function encodeLabels(labels: Partial<Labels>, usual: Labels = NO_LABELS): string {
  const { tags = usual.tags } = labels
  const named = encodeNamed(labels, usual, PLACED)
  if (named === '') return tags.length === 0 ? '' : JSON.stringify(tags)
  return `${JSON.stringify(tags)} ${withoutEnds(named)}`
}

export function decodeLabels(text: string): Labels {
  if (text === '') return NO_LABELS
  const tags = TAGS.exec(text)?.[0] ?? '[]'
  return fill({ ...decodeNamed(text.slice(tags.length + 1)), tags: JSON.parse(tags) }, NO_LABELS)
}

/** The same JSON without `"]`: processes that know of tags alone take the last for their end. */
function withoutEnds(json: string): string {
  return json.replace(/\\./g, (pair) => (pair === '\\"' ? '\\u0022' : pair)).replaceAll('"]', '"\t]')
}
