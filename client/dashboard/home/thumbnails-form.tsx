import { Chip, Group, Input, SegmentedControl, Stack } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import type { Picture } from './picture.ts'
import { PictureDrop } from './picture-drop.tsx'
import { SubmitBar, useSubmission } from './submission.tsx'
import classes from './thumbnails-form.module.css'

const WIDTHS = ['64', '128', '256', '512', '1024', '2048']
const DEFAULT_WIDTHS = ['64', '128', '256', '512', '1024']
const CHIP = { label: classes.label, iconWrapper: classes.icon }
const FORMATS = [
  { value: 'webp', label: 'WebP' },
  { value: 'jpeg', label: 'JPEG' },
  { value: 'png', label: 'PNG' },
  { value: 'avif', label: 'AVIF' },
]

/** A photo in several sizes. */
export function ThumbnailsForm({ isShown }: { isShown: boolean }) {
  const [picture, setPicture] = useState<Picture | null>(null)
  const [widths, setWidths] = useState(DEFAULT_WIDTHS)
  const [format, setFormat] = useState('webp')
  const [isIncomplete, setIncomplete] = useState(false)
  const { isSending, problems, send } = useSubmission('thumbnails', ['image', 'widths', 'format'])

  function submit(event: FormEvent) {
    event.preventDefault()
    setIncomplete(picture === null)
    if (picture === null) return
    const sizes = widths.map(Number).sort((a, b) => a - b)
    send({ image: picture.dataUrl, widths: sizes, format })
  }

  const missing = isIncomplete && picture === null ? 'Choose a picture first.' : undefined
  return (
    <form onSubmit={submit} noValidate aria-label="Thumbnails">
      <Stack gap="lg">
        <PictureDrop
          picture={picture}
          error={missing ?? problems.of('image')}
          takesPaste={isShown}
          onPick={setPicture}
        />
        <Input.Wrapper
          label="Widths in pixels"
          labelElement="div"
          error={problems.of('widths')}
          labelProps={{ id: 'widths-label' }}
        >
          <Chip.Group multiple value={widths} onChange={setWidths}>
            <Group gap={6} mt={6} role="group" aria-labelledby="widths-label">
              {WIDTHS.map((width) => (
                <Chip key={width} value={width} classNames={CHIP}>
                  {width}
                </Chip>
              ))}
            </Group>
          </Chip.Group>
        </Input.Wrapper>
        <Input.Wrapper
          label="Format"
          labelElement="div"
          error={problems.of('format')}
          labelProps={{ id: 'format-label' }}
        >
          <SegmentedControl
            mt={6}
            fullWidth
            data={FORMATS}
            value={format}
            onChange={setFormat}
            aria-labelledby="format-label"
          />
        </Input.Wrapper>
        <SubmitBar label="Make thumbnails" isSending={isSending} general={problems.general} />
      </Stack>
    </form>
  )
}
