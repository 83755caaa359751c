import { ActionIcon, Tooltip } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { formatBytes } from '../common/format.ts'
import classes from './picture-grid.module.css'
import type { ResultPicture } from './pictures.ts'

/** Pictures in their own size, as far as there is room, each with its figures and a download. */
export function PictureGrid({ pictures, name }: { pictures: readonly ResultPicture[]; name: string }) {
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
