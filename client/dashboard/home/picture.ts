/** A picture as it is sent, and what is shown of it. */
export interface Picture {
  readonly name: string
  readonly dataUrl: string
  /** Pixels; null where the browser cannot decode the format (the server may). */
  readonly size: { readonly width: number; readonly height: number } | null
  /** The size of the file that is sent. */
  readonly bytes: number
  /** The file was too large to send and was scaled down here. */
  readonly reduced: boolean
}

/** Base64 makes a third more of it, and the whole payload may be 8 MiB. */
const MAX_FILE_BYTES = 6_000_000
const REDUCED_EDGE = 4096
const REDUCED_QUALITY = 0.9

/** Reads a dropped, chosen or pasted file. Rejects when it cannot be read, or is too large and cannot be scaled. */
export async function readPicture(file: File): Promise<Picture> {
  const bitmap = await decode(file)
  const size = bitmap === null ? null : { width: bitmap.width, height: bitmap.height }
  try {
    const name = file.name === '' ? 'Pasted picture' : file.name
    if (file.size <= MAX_FILE_BYTES) {
      return { name, dataUrl: await toDataUrl(file), size, bytes: file.size, reduced: false }
    }
    if (bitmap === null)
      throw new Error('This file is too large to send, and the browser cannot scale it down.')
    const smaller = await reduce(bitmap)
    return {
      name,
      dataUrl: await toDataUrl(smaller.blob),
      size: smaller.size,
      bytes: smaller.blob.size,
      reduced: true,
    }
  } finally {
    bitmap?.close()
  }
}

async function decode(file: Blob): Promise<ImageBitmap | null> {
  try {
    return await createImageBitmap(file)
  } catch {
    return null
  }
}

async function reduce(bitmap: ImageBitmap) {
  const scale = Math.min(1, REDUCED_EDGE / Math.max(bitmap.width, bitmap.height))
  const size = { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) }
  const canvas = newCanvas(size.width, size.height)
  contextOf(canvas).drawImage(bitmap, 0, 0, size.width, size.height)
  return { blob: await toBlob(canvas, 'image/jpeg', REDUCED_QUALITY), size }
}

function newCanvas(width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  return canvas
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext('2d')
  if (context === null) throw new Error('This browser cannot draw.')
  return context
}

function toBlob(canvas: HTMLCanvasElement, type: string, quality?: number): Promise<Blob> {
  return new Promise((resolve, reject) => {
    const done = (blob: Blob | null) =>
      blob === null ? reject(new Error('The browser could not encode the picture.')) : resolve(blob)
    canvas.toBlob(done, type, quality)
  })
}

function toDataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(String(reader.result))
    reader.onerror = () => reject(new Error('The file could not be read.'))
    reader.readAsDataURL(blob)
  })
}

const WIDTH = 1600
const HEIGHT = 1067

const RIDGES = [
  { base: 0.56, height: 0.1, waves: 3.1, colour: '#8b86b8' },
  { base: 0.66, height: 0.12, waves: 2.3, colour: '#5f5f9a' },
  { base: 0.78, height: 0.11, waves: 3.7, colour: '#3b3f75' },
  { base: 0.9, height: 0.09, waves: 2.7, colour: '#1f2450' },
]

/** A picture for whoever has none at hand: hills at dusk, drawn here. */
export async function samplePicture(): Promise<File> {
  const canvas = newCanvas(WIDTH, HEIGHT)
  const context = contextOf(canvas)
  paintSky(context)
  for (const [index, ridge] of RIDGES.entries()) paintRidge(context, ridge, index)
  return new File([await toBlob(canvas, 'image/jpeg', 0.92)], 'hills-at-dusk.jpg', { type: 'image/jpeg' })
}

function paintSky(context: CanvasRenderingContext2D): void {
  const sky = context.createLinearGradient(0, 0, 0, HEIGHT * 0.75)
  sky.addColorStop(0, '#27306b')
  sky.addColorStop(0.45, '#b66a8f')
  sky.addColorStop(0.8, '#f4a873')
  sky.addColorStop(1, '#ffd9a0')
  context.fillStyle = sky
  context.fillRect(0, 0, WIDTH, HEIGHT)

  const sun = context.createRadialGradient(1080, 560, 40, 1080, 560, 420)
  sun.addColorStop(0, 'rgba(255, 244, 214, 1)')
  sun.addColorStop(0.16, 'rgba(255, 226, 170, 0.95)')
  sun.addColorStop(0.2, 'rgba(255, 206, 150, 0.4)')
  sun.addColorStop(1, 'rgba(255, 190, 140, 0)')
  context.fillStyle = sun
  context.fillRect(0, 0, WIDTH, HEIGHT)
}

function paintRidge(context: CanvasRenderingContext2D, ridge: (typeof RIDGES)[number], index: number): void {
  context.beginPath()
  context.moveTo(0, HEIGHT)
  for (let x = 0; x <= WIDTH; x += 4) {
    const t = (x / WIDTH) * Math.PI * ridge.waves + index * 1.7
    const rise = 0.6 * Math.sin(t) + 0.3 * Math.sin(2.3 * t + 1) + 0.08 * Math.sin(11 * t)
    context.lineTo(x, HEIGHT * (ridge.base - ridge.height * rise))
  }
  context.lineTo(WIDTH, HEIGHT)
  context.fillStyle = ridge.colour
  context.fill()
}
