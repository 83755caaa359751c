import { promisify } from 'node:util'
import { crc32, deflate } from 'node:zlib'
import type { Rectangle } from './paint.ts'

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
/** Bytes of a pixel: red, green, blue. */
const PIXEL = 3
/** Each byte of a row says how it differs from that above it: in painted pictures mostly by little. */
const UP = 2

const compress = promisify(deflate)

/** An area of the picture as a PNG file (W3C recommendation, third edition), 8 bits a channel. */
export async function png(
  { width, pixels }: { readonly width: number; readonly pixels: Buffer },
  area: Rectangle,
): Promise<Buffer> {
  const length = area.width * PIXEL
  const rows = Buffer.alloc(area.height * (1 + length))
  for (let row = 0; row < area.height; row += 1) {
    const from = ((area.y + row) * width + area.x) * PIXEL
    const to = row * (1 + length)
    rows[to] = UP
    for (let at = 0; at < length; at += 1) {
      const above = row === 0 ? 0 : (pixels[from + at - width * PIXEL] ?? 0)
      rows[to + 1 + at] = (pixels[from + at] ?? 0) - above
    }
  }
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0])
  header.writeUInt32BE(area.width, 0)
  header.writeUInt32BE(area.height, 4)
  const data = [chunk('IHDR', header), chunk('IDAT', await compress(rows)), chunk('IEND', Buffer.alloc(0))]
  return Buffer.concat([SIGNATURE, ...data])
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const file = Buffer.alloc(4 + named.length + 4)
  file.writeUInt32BE(data.length, 0)
  named.copy(file, 4)
  file.writeUInt32BE(crc32(named), 4 + named.length)
  return file
}
