import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { defineJob, type JobContext, UnrecoverableError } from 'jobcast'
import type { Metadata, Sharp } from 'sharp'
import { z } from 'zod'

/** Pictures with more pixels than this are refused before they are decoded. */
const MAX_PIXELS = 100_000_000

const INPUT_FORMATS = ['jpeg', 'png', 'webp', 'avif', 'gif', 'tiff']

const DATA_URL = /^data:[\w.+-]+\/[\w.+-]+(?:;[\w.+-]+=[^;,]*)*;base64,/
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

const Payload = z.strictObject({
  image: z.string().refine((image) => BASE64.test(base64Of(image)), {
    error: 'must be an image as base64 or as a base64 data URL',
  }),
  widths: z
    .array(z.int({ error: 'must be a whole number from 16 to 2048' }).min(16).max(2048))
    .min(1, { error: 'needs at least one width' })
    .max(10, { error: 'takes at most 10 widths' }),
  format: z.enum(['webp', 'jpeg', 'png', 'avif']),
})
type Payload = z.infer<typeof Payload>

interface Thumbnail {
  readonly width: number
  readonly height: number
  readonly format: string
  readonly bytes: number
  readonly dataUrl: string
}

/** Resizes a picture to several widths, as it is meant to be seen (EXIF orientation applied); never enlarges it. */
export const thumbnails = defineJob({
  type: 'thumbnails',
  payload: Payload,
  timeoutMs: 120_000,
  run: makeThumbnails,
})

async function makeThumbnails({ image, widths, format }: Payload, context: JobContext) {
  const sharp = await loadSharp()
  const bytes = Buffer.from(base64Of(image), 'base64')
  // Of an animation the first frame.
  const open = () => sharp(bytes, { limitInputPixels: MAX_PIXELS, failOn: 'error' })
  const { width, height, ...source } = await inspect(open(), bytes.length)

  const made: Thumbnail[] = []
  for (const asked of widths) {
    context.signal.throwIfAborted()
    made.push(await resize(open(), Math.min(asked, width), format))
    context.progress((100 * made.length) / widths.length, `${made.length} of ${widths.length} sizes`)
    context.log(`wrote ${made.at(-1)?.width}x${made.at(-1)?.height}`)
  }
  return { source: { width, height, ...source }, thumbnails: made }
}

/** That of the project which is being worked in: no part of this one needs it. */
async function loadSharp(): Promise<typeof import('sharp').default> {
  const require = createRequire(resolve('jobs.js'))
  let path: string
  try {
    path = require.resolve('sharp')
  } catch {
    throw new UnrecoverableError('thumbnails are made by sharp, which is not installed: npm install sharp')
  }
  return (await import(pathToFileURL(path).href)).default
}

async function inspect(picture: Sharp, bytes: number) {
  const metadata = await picture.metadata().catch((error: unknown) => {
    throw unusable(error)
  })
  const format = formatOf(metadata)
  if (!INPUT_FORMATS.includes(format)) {
    throw new UnrecoverableError(`the image is ${format}; it must be one of ${INPUT_FORMATS.join(', ')}`)
  }
  return { width: metadata.autoOrient.width, height: metadata.autoOrient.height, format, bytes }
}

async function resize(picture: Sharp, width: number, format: Payload['format']): Promise<Thumbnail> {
  try {
    const upright = picture.autoOrient().resize({ width, withoutEnlargement: true })
    // JPEG knows no transparency, and black would be a bad guess.
    const opaque = format === 'jpeg' ? upright.flatten({ background: '#ffffff' }) : upright
    const { data, info } = await opaque.toFormat(format).toBuffer({ resolveWithObject: true })
    const dataUrl = `data:image/${format};base64,${data.toString('base64')}`
    return { width: info.width, height: info.height, format, bytes: data.length, dataUrl }
  } catch (error) {
    throw unusable(error)
  }
}

function base64Of(image: string): string {
  return image.replace(DATA_URL, '').replace(/\s+/g, '')
}

/** libvips speaks of AVIF as HEIF with a codec. */
function formatOf({ format, compression }: Metadata): string {
  return format === 'heif' && compression === 'av1' ? 'avif' : format
}

/** The same bytes fail the same way at every attempt. */
function unusable(error: unknown): UnrecoverableError {
  const [reason] = (error instanceof Error ? error.message : String(error)).split('\n')
  return new UnrecoverableError(`the image cannot be used: ${reason}`)
}
