import { Button, Text } from '@mantine/core'
import { useWindowEvent } from '@mantine/hooks'
import { IconPhoto, IconPhotoUp, IconX } from '@tabler/icons-react'
import { useId, useState } from 'react'
import { useDropzone } from 'react-dropzone'
import { formatBytes, formatNumber } from '../common/format.ts'
import { type Picture, readPicture, samplePicture } from './picture.ts'
import classes from './picture-drop.module.css'

interface PictureDropProps {
  readonly picture: Picture | null
  readonly error: string | undefined
  /** A paste anywhere on the page is meant for it. */
  readonly takesPaste: boolean
  onPick(picture: Picture | null): void
}

/** Takes one picture: dropped, chosen, pasted, or the sample. */
export function PictureDrop({ picture, error, takesPaste, onPick }: PictureDropProps) {
  const [unreadable, setUnreadable] = useState<string | null>(null)
  const errorId = useId()
  const shownError = unreadable ?? error

  async function take(file: File | Promise<File> | undefined) {
    if (file === undefined) return
    try {
      onPick(await readPicture(await file))
      setUnreadable(null)
    } catch (problem) {
      onPick(null)
      setUnreadable(problem instanceof Error ? problem.message : String(problem))
    }
  }

  const { getRootProps, getInputProps, isDragActive, open } = useDropzone({
    accept: { 'image/*': [] },
    multiple: false,
    noClick: true,
    noKeyboard: true,
    noPaste: true,
    onDropAccepted: ([file]) => take(file),
    onDropRejected: () => setUnreadable('This is not a picture.'),
  })

  useWindowEvent('paste', (event) => {
    if (!takesPaste) return
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith('image/'))
    if (file === undefined) return
    event.preventDefault()
    take(file)
  })

  return (
    <div>
      <div
        {...getRootProps({ className: classes.zone })}
        data-over={isDragActive || undefined}
        data-wrong={shownError !== undefined || undefined}
      >
        <input {...getInputProps({ 'aria-label': 'Picture file', 'aria-describedby': errorId })} />
        {picture === null ? (
          <Empty isOver={isDragActive} onChoose={open} onSample={() => take(samplePicture())} />
        ) : (
          <Chosen picture={picture} onChange={open} onClear={() => onPick(null)} />
        )}
      </div>
      <Text id={errorId} size="xs" c="var(--jc-red-text)" mt={shownError === undefined ? 0 : 5}>
        {shownError}
      </Text>
    </div>
  )
}

function Empty({ isOver, onChoose, onSample }: { isOver: boolean; onChoose(): void; onSample(): void }) {
  return (
    <div className={classes.empty}>
      <span className={classes.icon} aria-hidden>
        <IconPhotoUp size={22} stroke={1.6} />
      </span>
      <Text size="md" fw={550}>
        {isOver ? 'Let go to use it' : 'Drop a photo here'}
      </Text>
      <Text size="sm" c="dimmed">
        or paste one, or
      </Text>
      <div className={classes.buttons}>
        <Button variant="default" size="xs" onClick={onChoose}>
          Choose a file
        </Button>
        <Button variant="subtle" size="xs" color="cobalt" c="var(--jc-accent-text)" onClick={onSample}>
          Use a sample
        </Button>
      </div>
    </div>
  )
}

function Chosen(props: { picture: Picture; onChange(): void; onClear(): void }) {
  const { name, dataUrl, size, bytes, reduced } = props.picture
  const pixels = size === null ? '' : `${formatNumber(size.width)} × ${formatNumber(size.height)} · `
  return (
    <>
      <div className={classes.preview}>
        {size === null ? <IconPhoto size={40} stroke={1.2} aria-hidden /> : <img src={dataUrl} alt={name} />}
      </div>
      <div className={classes.caption}>
        <div className={classes.names}>
          <Text size="sm" fw={550} truncate title={name}>
            {name}
          </Text>
          <Text size="xs" c="dimmed" className="tabular">
            {pixels}
            {formatBytes(bytes)}
            {reduced && ' · scaled down to be sent'}
          </Text>
        </div>
        <Button variant="default" size="compact-sm" onClick={props.onChange}>
          Change
        </Button>
        <Button
          variant="subtle"
          color="gray"
          size="compact-sm"
          px={6}
          aria-label="Remove the picture"
          onClick={props.onClear}
        >
          <IconX size={15} color="var(--jc-muted)" aria-hidden />
        </Button>
      </div>
    </>
  )
}
