import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeLabels, encodeLabels } from '../../server/engine/job/labels.ts'
import { NO_LABELS } from '../../shared/options.ts'

/** Labels that there may be later. */
const LATER = { ...NO_LABELS, group: null, words: null, weight: 1 }

const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('"]', ' ["a"] ', '\\', '\\"]', '{"a":1}', '\u0000\n', '💥'),
)

/** As processes read tags that know of no other label. */
function tagsAlone(stored: string): string[] {
  if (stored === '') return []
  try {
    return JSON.parse(stored)
  } catch {
    const end = stored.lastIndexOf('"]')
    return end < 0 ? [] : JSON.parse(stored.slice(0, end + 2))
  }
}

describe('the labels of a job', () => {
  test('stand as processes that know of tags alone read and write them', () => {
    expect(encodeLabels({})).toBe('')
    expect(encodeLabels(NO_LABELS)).toBe('')
    expect(decodeLabels('')).toBe(NO_LABELS)
    fc.assert(
      fc.property(fc.array(texts, { minLength: 1 }), (tags) => {
        expect(encodeLabels({ tags })).toBe(JSON.stringify(tags))
        expect(decodeLabels(JSON.stringify(tags))).toEqual({ ...NO_LABELS, tags })
      }),
    )
  })

  test('that came later stand behind the tags, where readers of tags alone pass them over', () => {
    const labels = fc.record({ tags: fc.array(texts), group: texts, words: fc.array(texts) })
    fc.assert(
      fc.property(labels, ({ tags, group, words }) => {
        const stored = encodeLabels({ tags, ...{ group, words } }, LATER)
        expect(tagsAlone(stored)).toEqual(tags)
        expect(decodeLabels(stored)).toEqual({ ...NO_LABELS, tags })
        expect(decodeLabels(`${stored} later`)).toEqual({ ...NO_LABELS, tags })
        expect(JSON.parse(stored.slice(JSON.stringify(tags).length))).toEqual({ group, words })
        // They are a part of a line.
        expect(stored).not.toContain('\n')
      }),
    )
    expect(encodeLabels({ tags: [], ...{ group: 'a b' } }, LATER)).toBe('[] {"group":"a\\u0020b"}')
  })

  test.each(['nothing', '17', '["a', '[1]', '{"tags":["a"]}'])(
    'is none in what is not theirs: %s',
    (stored) => {
      expect(decodeLabels(stored)).toEqual(NO_LABELS)
    },
  )
})
