import { toByte } from './color.ts'
import { hashCell } from './random.ts'
import type { Shade } from './sky.ts'

/** Side of a tile, in pixels. */
const TILE = 128

/** Looks at each pixel: this many by this many, so that edges are smooth. */
const SAMPLES = 2
/** Strength of the grain, in steps of 256. */
const GRAIN = 3.2

export interface Rectangle {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Tiles that cover a picture, from the middle outwards: what matters most is seen first. */
export function tilesOf(width: number, height: number): Rectangle[] {
  const tiles: Rectangle[] = []
  for (let y = 0; y < height; y += TILE) {
    for (let x = 0; x < width; x += TILE) {
      tiles.push({ x, y, width: Math.min(TILE, width - x), height: Math.min(TILE, height - y) })
    }
  }
  const fromMiddle = (tile: Rectangle) =>
    Math.hypot(tile.x + tile.width / 2 - width / 2, tile.y + tile.height / 2 - height / 2)
  return tiles.sort((a, b) => fromMiddle(a) - fromMiddle(b))
}

/** Paints a tile into the RGB pixels of the whole picture (3 bytes each, row by row). */
export function paintTile(
  shade: Shade,
  tile: Rectangle,
  picture: { width: number; height: number; pixels: Buffer },
): void {
  const { width, height, pixels } = picture
  for (let row = tile.y; row < tile.y + tile.height; row += 1) {
    for (let column = tile.x; column < tile.x + tile.width; column += 1) {
      let [red, green, blue] = [0, 0, 0]
      for (let sample = 0; sample < SAMPLES * SAMPLES; sample += 1) {
        const x = (column + ((sample % SAMPLES) + 0.5) / SAMPLES - width / 2) / height
        const y = (row + (Math.floor(sample / SAMPLES) + 0.5) / SAMPLES) / height
        const light = shade(x, y)
        red += light[0]
        green += light[1]
        blue += light[2]
      }
      const exposure = vignette(column / width, row / height) / SAMPLES ** 2
      const grain = GRAIN * (hashCell(column, row, 1) + hashCell(column, row, 2) - 1)
      const at = (row * width + column) * 3
      pixels[at] = toByte(red * exposure, grain)
      pixels[at + 1] = toByte(green * exposure, grain)
      pixels[at + 2] = toByte(blue * exposure, grain)
    }
  }
}

/** Corners a little darker than the middle. */
function vignette(u: number, v: number): number {
  const distance = ((u - 0.5) ** 2 + (v - 0.5) ** 2) * 2
  return 1.03 - 0.3 * distance ** 1.6
}
