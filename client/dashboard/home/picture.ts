/** A picture as it is sent, and what is shown of it. */
export interface Picture {
  readonly name: string
  readonly dataUrl: string
  /** Pixels; null where the browser cannot decode the format (the server may). */
  readonly size: { readonly width: number; readonly height: number } | null
  /** Of the file that is sent. */
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

export function newCanvas(width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  return canvas
}

export function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext('2d')
  if (context === null) throw new Error('This browser cannot draw.')
  return context
}

export function toBlob(canvas: HTMLCanvasElement, type: string, quality?: number): Promise<Blob> {
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
