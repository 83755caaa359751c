import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { paintTile, tilesOf } from '../../examples/samples/render/paint.ts'
import { composeScene } from '../../examples/samples/render/scene.ts'
import { run as paint } from '../../examples/samples/render/thread.ts'
import { readPrompt } from '../../examples/samples/render/words.ts'
import { aClaim, aContext } from '../helpers/a-run.ts'
import { problems, sample } from '../helpers/samples.ts'
import { openSqlite, openWorkbench, type Workbench } from '../helpers/workbench.ts'

let bench: Workbench
beforeEach(async () => {
  bench = await openWorkbench(openSqlite)
})
afterEach(() => bench.close())

describe('render', () => {
  async function render(prompt: string, width: number, height: number) {
    const { context, emitted } = aContext(aClaim({ type: 'render' }))
    return { result: await paint({ prompt, width, height }, context), emitted }
  }

  const pixels = async (dataUrl: string) =>
    sharp(Buffer.from(dataUrl.split(',')[1] ?? '', 'base64'))
      .raw()
      .toBuffer({ resolveWithObject: true })

  test('paints in a thread, every tile a chunk, and the tiles are the picture', async () => {
    await bench.work([sample('render')], { maxResultBytes: 8 * 1024 * 1024 })
    const jobId = await bench.submit('render', { prompt: 'sunset over the ocean', width: 200, height: 136 })
    const job = await bench.ended(jobId)
    expect(job).toMatchObject({
      status: 'completed',
      progress: { percent: 100, note: 'tile 4 of 4' },
      result: { width: 200, height: 136, format: 'png' },
    })
    const { dataUrl, bytes } = JSON.parse(JSON.stringify(job.result))
    expect(Buffer.from(dataUrl.split(',')[1], 'base64')).toHaveLength(bytes)
    const whole = await pixels(dataUrl)
    expect(whole.info).toMatchObject({ width: 200, height: 136, channels: 3 })
    const tiles = (await bench.history(jobId)).flatMap((event) =>
      event.kind === 'chunk' ? [event.data] : [],
    )
    expect(tiles).toHaveLength(4)
    const joined = Buffer.alloc(whole.data.length)
    for (const tile of tiles) {
      const { x, y, width, height, dataUrl: url } = JSON.parse(JSON.stringify(tile))
      const { data } = await pixels(url)
      for (let row = 0; row < height; row += 1) {
        data.copy(joined, ((y + row) * 200 + x) * 3, row * width * 3, (row + 1) * width * 3)
      }
    }
    expect(joined.equals(whole.data)).toBe(true)
  })

  test('paints the same picture from the same prompt, and another from another', async () => {
    const [once, again, other] = [
      await render('a', 64, 64),
      await render('a', 64, 64),
      await render('b', 64, 64),
    ]
    expect(again.result.dataUrl).toBe(once.result.dataUrl)
    expect(other.result.dataUrl).not.toBe(once.result.dataUrl)
  })

  test.each([
    'fire',
    'galaxy',
    'roses',
    'city at night',
    'misty forest',
    'desert',
    'mountain lake in winter',
    'stormy sea',
    'autumn hills',
    'northern lights',
    'silk',
    '日本語の絵',
    '\u0000',
    'x'.repeat(500),
  ])('paints something out of %j', (prompt) => {
    const picture = { width: 48, height: 40, pixels: Buffer.alloc(48 * 40 * 3) }
    for (const tile of tilesOf(picture.width, picture.height))
      paintTile(composeScene(prompt, 1.2), tile, picture)
    const shades = new Set(picture.pixels)
    expect(shades.size).toBeGreaterThan(40)
  })

  test('words steer what is painted', () => {
    expect(readPrompt('A red FOX in a snowy forest, at dawn')).toMatchObject({
      subject: 'forest',
      mood: 'dawn',
      hue: 25,
      snow: true,
    })
    expect(readPrompt('northern lights over a lake')).toMatchObject({
      mood: 'night',
      aurora: true,
      water: true,
    })
    expect(readPrompt('nothing known')).toMatchObject({ subject: null, mood: null, hue: null })
  })

  test('covers every pixel once, the middle first', () => {
    const tiles = tilesOf(300, 140)
    expect(tiles.reduce((area, { width, height }) => area + width * height, 0)).toBe(300 * 140)
    expect(tiles[0]).toMatchObject({ x: 128, y: 0 })
  })

  test('refuses wrong payloads', async () => {
    expect(await problems('render', { prompt: '', width: 63, height: 1025 })).toHaveLength(3)
    expect(await problems('render', { prompt: 'x'.repeat(501), width: 64, height: 64 })).toHaveLength(1)
    expect(await problems('render', { prompt: 'x'.repeat(500), width: 64, height: 1024 })).toEqual([])
  })
})
