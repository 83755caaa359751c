import { ActionIcon, Tooltip } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { formatBytes } from '../common/format.ts'
import { isPictureUrl, isRecord, type Json, JsonView } from '../common/json.tsx'
import { Section } from '../common/parts.tsx'
import classes from './result.module.css'

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

/** What the pictures were made from, where the result has it as its `source`. */
function describeSource(result: Json): string | undefined {
  if (!isRecord(result) || !isRecord(result.source)) return undefined
  const { width, height, bytes } = result.source
  if (typeof width !== 'number' || typeof height !== 'number' || typeof bytes !== 'number') return undefined
  return `from ${width} × ${height}, ${formatBytes(bytes)}`
}

/** Pictures in their own size, as far as there is room, each with its figures and a download. */
function PictureGrid({ pictures, name }: { pictures: readonly ResultPicture[]; name: string }) {
  return (
    <ul className={classes.grid} data-single={pictures.length === 1 || undefined}>
      {pictures.map((picture, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a result never changes, and two of its pictures may be alike
        <li key={index} className={classes.cell}>
          <Figure picture={picture} name={name} />
        </li>
      ))}
    </ul>
  )
}

function Figure({ picture, name }: { picture: ResultPicture; name: string }) {
  const { dataUrl, format, width, height, bytes } = picture
  const size = width === null || height === null ? format : `${width} × ${height}`
  const file = `${name}-${size.replaceAll(' ', '').replace('×', 'x')}.${format === 'jpeg' ? 'jpg' : format}`
  return (
    <figure className={classes.figure}>
      <div className={classes.mat}>
        <img src={dataUrl} alt={`${name}, ${size}`} width={width ?? undefined} height={height ?? undefined} />
      </div>
      <figcaption className={classes.caption}>
        <span className={classes.size}>{size}</span>
        <span className={classes.more}>
          {format}
          {bytes !== null && ` · ${formatBytes(bytes)}`}
        </span>
        <Tooltip label="Download">
          <ActionIcon
            component="a"
            href={dataUrl}
            download={file}
            variant="subtle"
            color="gray"
            size="md"
            aria-label={`Download ${file}`}
          >
            <IconDownload size={16} stroke={1.75} color="var(--jc-muted)" />
          </ActionIcon>
        </Tooltip>
      </figcaption>
    </figure>
  )
}

/** A picture in a result. Sizes in pixels and bytes. */
export interface ResultPicture {
  readonly dataUrl: string
  readonly format: string
  readonly width: number | null
  readonly height: number | null
  readonly bytes: number | null
}

/** The pictures that a result consists of: it is one itself, or has lists of them; none: it is shown as JSON. */
export function picturesIn(result: Json): readonly ResultPicture[] {
  if (!isRecord(result)) return []
  const single = asPicture(result)
  if (single !== null) return [single]
  const listed = Object.values(result).filter((value) => Array.isArray(value))
  return listed
    .flat()
    .map(asPicture)
    .filter((picture) => picture !== null)
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
