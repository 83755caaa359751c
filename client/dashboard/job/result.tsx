import { formatBytes } from '../common/format.ts'
import { JsonView } from '../common/json-view.tsx'
import { Section } from '../common/section.tsx'
import type { Json } from '../common/shorten.ts'
import { isRecord } from './history.ts'
import { PictureGrid } from './picture-grid.tsx'
import { picturesIn } from './pictures.ts'

/** What the job came to: pictures as pictures, anything else as JSON. */
export function Result({ result, name }: { result: Json; name: string }) {
  const pictures = picturesIn(result)
  if (pictures.length === 0) {
    return (
      <Section title="Result">
        <JsonView value={result} label="result" />
      </Section>
    )
  }
  return (
    <Section title="Result" aside={describeSource(result)}>
      <PictureGrid pictures={pictures} name={name} />
    </Section>
  )
}

/** Of thumbnails: what they were made from. */
function describeSource(result: Json): string | undefined {
  if (!isRecord(result) || !isRecord(result.source)) return undefined
  const { width, height, bytes } = result.source
  if (typeof width !== 'number' || typeof height !== 'number' || typeof bytes !== 'number') return undefined
  return `from ${width} × ${height}, ${formatBytes(bytes)}`
}
