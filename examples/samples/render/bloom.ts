import type { AbstractOptions } from './abstract.ts'
import { add, Gradient, mix, type Oklch, type Rgb, scale } from './color.ts'
import { clamp, lerp, Noise, smoothstep } from './noise.ts'
import { hashCell, type Random } from './random.ts'
import type { Shade } from './sky.ts'

/** One great flower: petals in rings, set at the golden angle, over a soft garden out of focus. */
export function composeBloom({ random, seed, hue: named }: AbstractOptions): Shade {
  const noise = new Noise(seed)
  const hue = named ?? [355, 15, 325, 295, 60, 85, 250][Math.floor(random() * 7)] ?? 355
  const petal = new Gradient([
    [0.28, 0.12, hue - 22],
    [0.47, 0.18, hue - 12],
    [0.66, 0.185, hue],
    [0.82, 0.11, hue + 12],
    [0.94, 0.045, hue + 30],
  ])
  const leafHue = 145 + (random() - 0.5) * 40
  const garden = new Gradient([
    [0.15, 0.045, leafHue + 40],
    [0.26, 0.075, leafHue],
    [0.42, 0.1, leafHue - 15],
    [0.62, 0.11, leafHue - 35],
  ])
  const middle = { x: (random() - 0.5) * 0.12, y: 0.5 + (random() - 0.5) * 0.06 }
  const petals = petalsOf(random)
  const turn = random() * 2 * Math.PI

  function background(x: number, y: number): Rgb {
    const blur = noise.fbm(x * 1.4 + 3, y * 1.4, 3)
    let color = garden.at(0.34 + 0.5 * blur + 0.22 * (0.5 - y))
    for (let cell = 0; cell < 14; cell += 1) {
      const px = (hashCell(cell, 1, seed) - 0.5) * 1.7
      const py = hashCell(cell, 2, seed) * 1.1
      const radius = 0.035 + 0.075 * hashCell(cell, 3, seed)
      const distance = Math.hypot(x - px, y - py) / radius
      const disc = smoothstep(1, 0.86, distance) * (0.55 + 0.45 * smoothstep(0.5, 1, distance))
      const tint = cell % 3 === 0 ? garden.at(0.95) : petal.at(0.5 + 0.4 * hashCell(cell, 4, seed))
      color = add(color, tint, disc * 0.13)
    }
    return color
  }

  /** The topmost petal at a place, as the light on it; null between petals. */
  function flower(x: number, y: number): Rgb | null {
    const [dx, dy] = [x - middle.x, y - middle.y]
    const far = Math.hypot(dx, dy)
    if (far > 0.47) return null
    const angle = Math.atan2(dy, dx) + turn
    let shadow = 1
    for (const { at, length, width, base, ring } of petals) {
      if (far < base * 0.85 || far > base + length * 1.02) continue
      let apart = angle - at
      apart -= 2 * Math.PI * Math.round(apart / (2 * Math.PI))
      if (Math.abs(apart) > 1) continue
      const t = (far * Math.cos(apart) - base) / length
      if (t <= 0 || t >= 1) continue
      const side = (far * Math.sin(apart)) / width
      const outline =
        Math.sin(Math.PI * t ** 0.72) ** 0.62 * (1 + 0.035 * noise.at(at * 40 + t * 4, side * 2))
      const edge = Math.abs(side) / outline
      if (edge >= 1) {
        // The petals on top throw a soft shadow on the ones below.
        if (edge < 1.35 && ring < 6) shadow *= lerp(0.72, 1, smoothstep(1, 1.35, edge))
        continue
      }
      const vein = noise.at(side * 7 + at * 31, t * 1.6) * 0.05 + 0.03 * Math.sin(side * 34 + at * 9)
      const cup = 1 - 0.42 * edge ** 3
      const tone = clamp(0.16 + 0.62 * t ** 0.85 + 0.16 * (1 - ring / 7) * t + vein)
      const facing = 0.5 + 0.5 * Math.cos(at - turn + 2.2)
      const light =
        lerp(0.5, 1.08, smoothstep(0, 0.75, t)) * cup * lerp(0.8, 1.16, facing) * lerp(1, shadow, 0.85)
      const rim = smoothstep(0.86, 0.985, edge) * smoothstep(0.25, 0.8, t) * 0.28
      return add(scale(petal.at(tone), light), petal.at(0.98), rim * light)
    }
    return null
  }

  function heart(x: number, y: number): number {
    return Math.hypot(x - middle.x, y - middle.y)
  }

  const gold = new Gradient([
    [0.3, 0.09, 45],
    [0.62, 0.15, 68],
    [0.9, 0.15, 95],
  ] satisfies Oklch[])

  return (x, y) => {
    const far = heart(x, y)
    if (far < 0.052) {
      const grain = noise.at((x - middle.x) * 150, (y - middle.y) * 150)
      const dome = 1 - (far / 0.056) ** 2
      return gold.at(clamp(0.25 + 0.5 * dome + 0.32 * grain))
    }
    const blossom = flower(x, y)
    if (blossom !== null) return mix(blossom, scale(petal.at(0.1), 0.7), 0.65 * Math.exp(-(far - 0.052) * 60))
    const shade = smoothstep(0.62, 0.3, Math.hypot(x - middle.x - 0.03, y - middle.y - 0.05))
    return scale(background(x, y), 1 - 0.5 * shade)
  }
}

interface Petal {
  readonly at: number
  readonly base: number
  readonly length: number
  readonly width: number
  /** From the innermost, on top, outwards. */
  readonly ring: number
}

function petalsOf(random: Random): Petal[] {
  const rings = 7
  const petals: Petal[] = []
  for (let ring = 0; ring < rings; ring += 1) {
    const out = ring / (rings - 1)
    const count = Math.round(lerp(9, 17, out))
    for (let number = 0; number < count; number += 1) {
      petals.push({
        at: ((number + 0.5 * (ring % 2) + 0.12 * (random() - 0.5)) / count) * 2 * Math.PI,
        base: lerp(0.03, 0.1, out),
        length: lerp(0.1, 0.34, out) * lerp(0.93, 1.04, random()),
        width: lerp(0.028, 0.068, out) * lerp(0.92, 1.08, random()),
        ring,
      })
    }
  }
  return petals
}
