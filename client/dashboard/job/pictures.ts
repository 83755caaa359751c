import type { Json } from '../common/shorten.ts'
import { isPictureUrl, isRecord } from './history.ts'

/** A picture in a result. Sizes in pixels and bytes. */
export interface ResultPicture {
  readonly dataUrl: string
  readonly format: string
  readonly width: number | null
  readonly height: number | null
  readonly bytes: number | null
}

/** The pictures that a result consists of: one (`render`) or a list (`thumbnails`); none: show it as JSON. */
export function picturesIn(result: Json): readonly ResultPicture[] {
  if (!isRecord(result)) return []
  const single = asPicture(result)
  if (single !== null) return [single]
  const { thumbnails } = result
  if (!Array.isArray(thumbnails)) return []
  return thumbnails.map(asPicture).filter((picture) => picture !== null)
}

function asPicture(value: Json): ResultPicture | null {
  if (!isRecord(value) || !isPictureUrl(value.dataUrl)) return null
  return {
    dataUrl: value.dataUrl,
    format: typeof value.format === 'string' ? value.format : 'picture',
    width: numberOrNull(value.width),
    height: numberOrNull(value.height),
    bytes: numberOrNull(value.bytes),
  }
}

function numberOrNull(value: Json | undefined): number | null {
  return typeof value === 'number' ? value : null
}
