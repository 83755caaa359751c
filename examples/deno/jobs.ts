import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from 'jobcast'
import { z } from 'zod'

const WIDTH = 300
const HEIGHT = 200

/** A row of the picture: how long each of its points stayed, 0 to 255. */
export type Row = { y: number; points: number[] }

export const mandelbrot = defineJob({
  type: 'mandelbrot',
  payload: z.object({ x: z.number(), y: z.number(), zoom: z.number().min(1).max(1e6) }),
  async run({ x, y, zoom }, job) {
    for (let row = 0; row < HEIGHT; row++) {
      const points = Array.from({ length: WIDTH }, (_, column) =>
        stay(x + (3 * (column / WIDTH - 0.5)) / zoom, y + (2 * (row / HEIGHT - 0.5)) / zoom),
      )
      job.chunk({ y: row, points } satisfies Row)
      job.progress((100 * (row + 1)) / HEIGHT)
      await pause(10, null, { signal: job.signal })
    }
    return { width: WIDTH, height: HEIGHT }
  },
})

export const jobs = [mandelbrot]

function stay(re: number, im: number): number {
  let [a, b] = [0, 0]
  for (let step = 0; step < 256; step++) {
    ;[a, b] = [a * a - b * b + re, 2 * a * b + im]
    if (a * a + b * b > 4) return step
  }
  return 255
}
