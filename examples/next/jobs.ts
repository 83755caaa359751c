import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from 'jobcast'
import { z } from 'zod'

/** Hills of one distance, as the path of an SVG of 800 × 400. */
export type Range = {
  path: string
  color: string
}

/** Paints a landscape, from the farthest hills to the nearest. */
export const landscape = defineJob({
  type: 'landscape',
  payload: z.object({ hue: z.number().min(0).max(360), ranges: z.int().min(1).max(12) }),
  async run({ hue, ranges }, job) {
    const painted: Range[] = []
    for (let near = 1; near <= ranges; near++) {
      await pause(400, null, { signal: job.signal })
      const range = paint(hue, near / ranges)
      painted.push(range)
      job.chunk(range)
      job.progress((100 * near) / ranges, `range ${near} of ${ranges}`)
    }
    return { ranges: painted }
  },
})

export const jobs = [landscape]

function paint(hue: number, near: number): Range {
  const waves = [1, 2, 4].map((pitch) => ({ pitch, phase: Math.random() * 7, height: 45 / pitch }))
  const points: string[] = []
  for (let x = 0; x <= 800; x += 8) {
    const hill = waves.reduce((sum, { pitch, phase, height }) => {
      return sum + height * Math.sin(phase + (x / 130) * pitch)
    }, 0)
    points.push(`${x},${Math.round(120 + 250 * near - hill)}`)
  }
  const color = `hsl(${hue + 30 * near} ${25 + 30 * near}% ${78 - 58 * near}%)`
  return { path: `M0,400 L${points.join(' ')} 800,400Z`, color }
}
