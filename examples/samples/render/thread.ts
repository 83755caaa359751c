import { setImmediate as turn } from 'node:timers/promises'
import type { JobContext } from 'jobcast'
import { paintTile, tilesOf } from './paint.ts'
import { png } from './png.ts'
import { composeScene } from './scene.ts'

interface RenderPayload {
  readonly prompt: string
  readonly width: number
  readonly height: number
}

/** Paints the picture tile by tile; runs in a worker thread. Every finished tile is a chunk. */
export async function run({ prompt, width, height }: RenderPayload, context: JobContext) {
  const shade = composeScene(prompt, width / height)
  const picture = { width, height, pixels: Buffer.alloc(width * height * 3) }
  const tiles = tilesOf(width, height)
  for (const [at, tile] of tiles.entries()) {
    // Between tiles the thread hears whether it is to stop.
    await turn()
    context.signal.throwIfAborted()
    paintTile(shade, tile, picture)
    context.chunk({ ...tile, dataUrl: dataUrl(await png(picture, tile)) })
    context.progress((100 * (at + 1)) / tiles.length, `tile ${at + 1} of ${tiles.length}`)
  }
  const file = await png(picture, { x: 0, y: 0, width, height })
  return { width, height, format: 'png', bytes: file.length, dataUrl: dataUrl(file) }
}

function dataUrl(file: Buffer): string {
  return `data:image/png;base64,${file.toString('base64')}`
}
