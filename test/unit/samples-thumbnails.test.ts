import { tmpdir } from 'node:os'
import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { problems, sample } from '../helpers/samples.ts'
import { openSqlite, openWorkbench, type Workbench } from '../helpers/workbench.ts'

let bench: Workbench
beforeEach(async () => {
  bench = await openWorkbench(openSqlite)
})
afterEach(() => bench.close())

const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 4, background: { r: 200, g: 80, b: 20, alpha: 1 } } })

const base64 = (data: Buffer) => data.toString('base64')

describe('thumbnails', () => {
  async function run(payload: Record<string, unknown>) {
    await bench.work([sample('thumbnails')])
    const jobId = await bench.submit('thumbnails', JSON.parse(JSON.stringify(payload)))
    return { jobId, job: await bench.ended(jobId) }
  }

  test('resizes in the order asked for, never larger than the source', async () => {
    const image = await picture(600, 300).png().toBuffer()
    const { jobId, job } = await run({ image: base64(image), widths: [64, 1024, 16], format: 'webp' })
    expect(job.status).toBe('completed')
    expect(job.progress).toEqual({ percent: 100, note: '3 of 3 sizes' })
    const result = JSON.parse(JSON.stringify(job.result))
    expect(result.source).toEqual({ width: 600, height: 300, format: 'png', bytes: image.length })
    expect(
      result.thumbnails.map(({ width, height }: { width: number; height: number }) => [width, height]),
    ).toEqual([
      [64, 32],
      [600, 300],
      [16, 8],
    ])
    for (const thumbnail of result.thumbnails) {
      expect(thumbnail.dataUrl).toMatch(/^data:image\/webp;base64,/)
      const data = Buffer.from(thumbnail.dataUrl.split(',')[1], 'base64')
      expect(data.length).toBe(thumbnail.bytes)
      expect(await sharp(data).metadata()).toMatchObject({ format: 'webp', width: thumbnail.width })
    }
    const lines = (await bench.history(jobId)).flatMap((event) =>
      event.kind === 'log' ? [event.data.line] : [],
    )
    expect(lines).toEqual(['wrote 64x32', 'wrote 600x300', 'wrote 16x8'])
  })

  test('says what to install where nothing resizes pictures', async () => {
    const cwd = vi.spyOn(process, 'cwd').mockReturnValue(tmpdir())
    onTestFinished(() => cwd.mockRestore())
    const { job } = await run({ image: base64(Buffer.from('x')), widths: [64], format: 'webp' })
    expect(job).toMatchObject({ status: 'failed', errorCode: 'unrecoverable' })
    expect(job.error).toMatch(/sharp, which is not installed: npm install sharp$/)
  })

  test.each(['webp', 'jpeg', 'png', 'avif'])('writes %s', async (format) => {
    const image = await picture(80, 40).jpeg().toBuffer()
    const { job } = await run({ image: `data:image/jpeg;base64,${base64(image)}`, widths: [32], format })
    expect(job.result).toMatchObject({
      source: { format: 'jpeg' },
      thumbnails: [{ width: 32, height: 16, format }],
    })
  })

  test('turns a picture the way its camera was held', async () => {
    const image = await picture(200, 100).jpeg().withMetadata({ orientation: 6 }).toBuffer()
    const { job } = await run({ image: base64(image), widths: [50], format: 'png' })
    expect(job.result).toMatchObject({
      source: { width: 100, height: 200 },
      thumbnails: [{ width: 50, height: 100 }],
    })
  })

  test('takes the first frame of an animation', async () => {
    const frames = await sharp(
      [await picture(40, 40).png().toBuffer(), await picture(40, 40).png().toBuffer()],
      {
        join: { animated: true },
      },
    )
      .gif()
      .toBuffer()
    const { job } = await run({ image: base64(frames), widths: [20], format: 'png' })
    expect(job.result).toMatchObject({
      source: { width: 40, height: 40, format: 'gif' },
      thumbnails: [{ width: 20, height: 20 }],
    })
  })

  test.each([
    ['no image', Buffer.from('this is not a picture at all')],
    [
      'a drawing with outside references',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    ],
  ])('fails for good and says why: %s', async (_name, image) => {
    const { job } = await run({ image: base64(image), widths: [32], format: 'png' })
    expect(job).toMatchObject({ status: 'failed', errorCode: 'unrecoverable', attempt: 1 })
    expect(job.error).toMatch(/^the image /)
  })

  test('fails for good where a picture is cut off', async () => {
    const noise = Buffer.from(Array.from({ length: 3 * 64 * 64 }, (_, at) => (at * 7919) % 256))
    const whole = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
      .jpeg({ quality: 95 })
      .toBuffer()
    const { job } = await run({
      image: base64(whole.subarray(0, whole.length / 2)),
      widths: [32],
      format: 'png',
    })
    expect(job).toMatchObject({ status: 'failed', errorCode: 'unrecoverable' })
  })

  test('refuses wrong payloads, each with its path', async () => {
    expect(await problems('thumbnails', { image: 'not base64!', widths: [64], format: 'png' })).toEqual([
      'image: must be an image as base64 or as a base64 data URL',
    ])
    expect(await problems('thumbnails', { image: 'aGk=', widths: [], format: 'png' })).toEqual([
      'widths: needs at least one width',
    ])
    expect(
      await problems('thumbnails', { image: 'aGk=', widths: [15, 2049, 1.5], format: 'bmp', more: 1 }),
    ).toHaveLength(5)
    expect(await problems('thumbnails', {})).toHaveLength(3)
  })
})
