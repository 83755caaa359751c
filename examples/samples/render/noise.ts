import { createRandom } from './random.ts'

/** How much each octave turns, so that the lattice of one does not show through the next. */
const [COS, SIN] = [Math.cos(0.6), Math.sin(0.6)]

/** Smooth noise over the plane (Perlin's gradient noise), -1 to 1, with features about 1 apart. */
export class Noise {
  readonly #order = new Uint8Array(512)
  readonly #x = new Float64Array(256)
  readonly #y = new Float64Array(256)

  constructor(seed: number) {
    const random = createRandom(seed)
    const order = Array.from({ length: 256 }, (_, index) => ({ index, key: random() }))
    order.sort((a, b) => a.key - b.key)
    for (let at = 0; at < 512; at += 1) this.#order[at] = order[at & 255]?.index ?? 0
    for (let at = 0; at < 256; at += 1) {
      const angle = (at / 256) * 2 * Math.PI
      this.#x[at] = Math.cos(angle)
      this.#y[at] = Math.sin(angle)
    }
  }

  at(x: number, y: number): number {
    const cellX = Math.floor(x)
    const cellY = Math.floor(y)
    const [dx, dy] = [x - cellX, y - cellY]
    const [u, v] = [fade(dx), fade(dy)]
    const top = lerp(this.#corner(cellX, cellY, dx, dy), this.#corner(cellX + 1, cellY, dx - 1, dy), u)
    const bottom = lerp(
      this.#corner(cellX, cellY + 1, dx, dy - 1),
      this.#corner(cellX + 1, cellY + 1, dx - 1, dy - 1),
      u,
    )
    return lerp(top, bottom, v) * 1.5
  }

  /** Octaves on top of each other, each twice as fine and half as strong; about -1 to 1. */
  fbm(x: number, y: number, octaves: number): number {
    let [sum, strength, total] = [0, 1, 0]
    let [fx, fy] = [x, y]
    for (let octave = 0; octave < octaves; octave += 1) {
      sum += strength * this.at(fx, fy)
      total += strength
      strength *= 0.5
      const turned = fx * COS - fy * SIN
      fy = (fx * SIN + fy * COS) * 2.03 + 17.3
      fx = turned * 2.03 + 5.7
    }
    return sum / total
  }

  /** Like `fbm`, folded at zero: sharp crests, 0 to 1. */
  ridged(x: number, y: number, octaves: number): number {
    let [sum, strength, total] = [0, 1, 0]
    let [fx, fy] = [x, y]
    for (let octave = 0; octave < octaves; octave += 1) {
      const crest = 1 - Math.abs(this.at(fx, fy))
      sum += strength * crest * crest
      total += strength
      strength *= 0.5
      fx = fx * 2.03 + 11.1
      fy = fy * 2.03 + 3.9
    }
    return sum / total
  }

  #corner(cellX: number, cellY: number, dx: number, dy: number): number {
    const hash = this.#order[((this.#order[cellX & 255] ?? 0) + cellY) & 255] ?? 0
    return (this.#x[hash] ?? 0) * dx + (this.#y[hash] ?? 0) * dy
  }
}

function fade(t: number): number {
  return t * t * t * (t * (t * 6 - 15) + 10)
}

export function lerp(a: number, b: number, t: number): number {
  return a + (b - a) * t
}

export function clamp(value: number, low = 0, high = 1): number {
  return Math.min(high, Math.max(low, value))
}

/** 0 below `low`, 1 above `high`, smooth between them; the other way round where `low` is the greater. */
export function smoothstep(low: number, high: number, value: number): number {
  const t = clamp((value - low) / (high - low))
  return t * t * (3 - 2 * t)
}
