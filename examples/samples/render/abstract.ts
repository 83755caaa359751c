import { add, Gradient, mix, type Rgb, rgb, scale } from './color.ts'
import { clamp, lerp, Noise, smoothstep } from './noise.ts'
import { hashCell, type Random } from './random.ts'
import type { Shade } from './sky.ts'

export interface AbstractOptions {
  readonly random: Random
  readonly seed: number
  /** In degrees; null: left to chance. */
  readonly hue: number | null
}

/** Hues whose dark neighbours stay clear, for prompts that name none. */
const CLEAR_HUES = [10, 28, 195, 230, 255, 280, 310, 340]

/** Folds of silk: noise warped by noise, lit like cloth, with fine threads along the flow. */
export function composeSilk({ random, seed, hue: named }: AbstractOptions): Shade {
  const noise = new Noise(seed)
  const hue = named ?? CLEAR_HUES[Math.floor(random() * CLEAR_HUES.length)] ?? 255
  // Neighbours of the hue for harmony, and one guest from across the circle.
  const turn = (random() < 0.5 ? -1 : 1) * lerp(35, 70, random())
  const guest = hue + turn * lerp(1.6, 2.3, random())
  const colors = new Gradient([
    [0.34, 0.1, hue + turn],
    [0.47, 0.14, hue + turn * 0.7],
    [0.63, 0.15, hue],
    [0.79, 0.11, hue - turn * 0.35],
    [0.93, 0.05, hue - turn * 0.6],
  ])
  const accent = rgb([0.74, 0.13, guest])
  const sheen = rgb([0.97, 0.03, hue - turn * 0.5])
  const zoom = lerp(1.25, 1.75, random())
  const drift = random() * 100
  const angle = random() * Math.PI
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]

  function fold(x: number, y: number) {
    const [px, py] = [(x * cos - y * sin) * zoom + drift, (x * sin + y * cos) * zoom * 0.62]
    const qx = noise.at(px, py)
    const qy = noise.at(px + 5.2, py + 1.3)
    const rx = noise.fbm(px + 1.15 * qx + 1.7, py + 1.15 * qy + 9.2, 2)
    const ry = noise.fbm(px + 1.15 * qx + 8.3, py + 1.15 * qy + 2.8, 2)
    return { height: noise.fbm(px + 1.35 * rx, py + 1.35 * ry, 2), q: Math.hypot(qx, qy), r: ry }
  }

  return (x, y) => {
    const step = 0.004
    const { height, q, r } = fold(x, y)
    const right = fold(x + step, y).height - height
    const down = fold(x, y + step).height - height
    // Two lamps over a surface whose height is the noise: one broad, one for the sheen.
    const [nx, ny] = [(-right / step) * 0.25, (-down / step) * 0.25]
    const length = Math.hypot(nx, ny, 1)
    const lamp = (nx * -0.55 + ny * -0.62 + 0.56) / length
    const shine = clamp((nx * -0.38 + ny * -0.42 + 0.82) / length) ** 14
    const rim = clamp((nx * 0.7 + ny * 0.35 + 0.25) / length) ** 3
    const tone = clamp(0.5 + 0.85 * height + 0.12 * q)
    let color = scale(colors.at(tone), lerp(0.5, 1.18, clamp(lamp * 0.8 + 0.26)))
    color = mix(color, scale(accent, 0.6 + 0.5 * clamp(lamp + 0.1)), smoothstep(0.16, 0.5, r) * 0.62)
    const thread = 0.5 + 0.5 * Math.sin((height * 3 + q) * 85)
    color = scale(color, 0.965 + 0.07 * thread)
    return add(add(color, sheen, 0.26 * shine), accent, 0.12 * rim)
  }
}

/** Fire: tongues that rise and tear, from white heat to smoke, with sparks above. */
export function composeFlame({ random, seed, hue: named }: AbstractOptions): Shade {
  const noise = new Noise(seed)
  const hue = named ?? 42
  const heat = new Gradient([
    [0.09, 0.03, hue - 30],
    [0.2, 0.085, hue - 22],
    [0.38, 0.15, hue - 14],
    [0.56, 0.19, hue - 4],
    [0.73, 0.175, hue + 18],
    [0.88, 0.14, hue + 42],
    [0.985, 0.05, hue + 55],
  ])
  const middle = (random() - 0.5) * 0.16
  const phase = random() * 60

  function hotness(x: number, y: number): number {
    const up = 1 - y
    const sway = 0.16 * noise.fbm(up * 1.3 + phase, 4, 2) * up
    const [u, v] = [(x - middle - sway) * 2.5, y * 1.15 + phase]
    const warpX = noise.fbm(u * 1.1, v * 1.5 + 3, 3)
    const warpY = noise.fbm(u * 1.1 + 7, v * 1.5, 3)
    const tongues = noise.ridged(u * 0.85 + 0.75 * warpX, v * 0.62 + 0.85 * warpY, 4)
    const fine = noise.fbm(u * 2.6 + 1.9 * warpX, v * 1.3 + 1.6 * warpY, 4)
    const body = Math.exp(-(((x - middle - sway) / lerp(0.62, 0.2, smoothstep(0, 0.95, up))) ** 2))
    const reach = 1.18 - 1.12 * up ** 1.15
    return body * reach * (0.35 + 0.85 * tongues) + 0.16 * fine * body - 0.1
  }

  function sparks(x: number, y: number): Rgb {
    let light: Rgb = [0, 0, 0]
    for (const [cells, strength] of [
      [9, 1],
      [19, 0.7],
      [33, 0.4],
    ] as const) {
      const bent = x + 0.09 * noise.fbm(y * 2 + cells, x * 1.2, 2)
      const [cx, cy] = [Math.floor(bent * cells), Math.floor(y * cells)]
      const chance = hashCell(cx, cy, seed + cells)
      if (chance > 0.2) continue
      const px = (cx + 0.25 + 0.5 * hashCell(cx, cy, seed + 1)) / cells
      const py = (cy + 0.25 + 0.5 * hashCell(cx, cy, seed + 2)) / cells
      const size = (0.0016 + 0.0026 * chance * 5) * (0.6 + 2.2 / cells)
      const distance = Math.hypot((bent - px) * 1.25, (y - py) * 0.72) / size
      const glow = Math.exp(-distance * distance) + 0.12 * Math.exp(-distance * 0.42)
      light = add(light, heat.at(0.6 + 0.9 * chance), glow * strength)
    }
    return light
  }

  return (x, y) => {
    const hot = hotness(x, y)
    const smoke = smoothstep(-0.35, 0.65, noise.fbm(x * 2 + 30, y * 2.4 + phase, 4))
    let color = mix(scale(heat.at(0), 0.75), heat.at(0.17), smoke * (0.25 + 0.6 * y))
    const ember = Math.exp(-(((x - middle) / 0.75) ** 2)) * smoothstep(-0.15, 1.1, y)
    color = add(color, heat.at(0.42), 0.5 * ember)
    const flame = heat.at(clamp(0.08 + 0.92 * hot))
    color = mix(color, scale(flame, 1 + 0.55 * smoothstep(0.6, 1.1, hot)), smoothstep(0.02, 0.42, hot))
    return add(color, sparks(x, y), smoothstep(1, 0.55, y) * (1 - 0.7 * smoothstep(0.2, 0.6, hot)))
  }
}

/** A galaxy's clouds: glowing gas, dark lanes of dust, and stars of every size. */
export function composeNebula({ random, seed, hue: named }: AbstractOptions): Shade {
  const noise = new Noise(seed)
  const hue = named ?? lerp(230, 350, random())
  const gas = new Gradient([
    [0.09, 0.035, hue - 25],
    [0.2, 0.09, hue - 15],
    [0.38, 0.155, hue],
    [0.6, 0.16, hue + 38],
    [0.82, 0.11, hue + 72],
    [0.97, 0.04, hue + 95],
  ])
  const other = rgb([0.62, 0.15, hue - 95])
  const core = { x: (random() - 0.5) * 0.45, y: lerp(0.35, 0.65, random()) }
  const phase = random() * 80
  const tilt = random() * Math.PI
  const [cos, sin] = [Math.cos(tilt), Math.sin(tilt)]

  function stars(x: number, y: number, dust: number): Rgb {
    let light: Rgb = [0, 0, 0]
    for (const [cells, brightness, chance] of [
      [4.5, 1.25, 0.2],
      [11, 0.95, 0.22],
      [29, 0.7, 0.22],
      [61, 0.45, 0.26],
    ] as const) {
      const [cx, cy] = [Math.floor(x * cells), Math.floor(y * cells)]
      if (hashCell(cx, cy, seed + cells * 10) > chance) continue
      const px = (cx + 0.12 + 0.76 * hashCell(cx, cy, seed + 1)) / cells
      const py = (cy + 0.12 + 0.76 * hashCell(cx, cy, seed + 2)) / cells
      const [dx, dy] = [x - px, y - py]
      const size = (0.0008 + 0.0075 / cells) * (0.55 + hashCell(cx, cy, seed + 3))
      const distance = Math.hypot(dx, dy) / size
      let glow = Math.exp(-distance * distance * 0.9) + (cells < 20 ? 0.085 * Math.exp(-distance * 0.4) : 0)
      if (cells < 8) {
        const spike = Math.exp(-Math.abs(dx) / (size * 0.16)) * Math.exp(-Math.abs(dy) / (size * 3.4))
        const other = Math.exp(-Math.abs(dy) / (size * 0.16)) * Math.exp(-Math.abs(dx) / (size * 3.4))
        glow += 0.6 * (spike + other)
      }
      const warmth = hashCell(cx, cy, seed + 4)
      light = add(
        light,
        [0.85 + 0.35 * warmth, 0.92, 1.25 - 0.4 * warmth],
        glow * brightness * (1 - 0.75 * dust),
      )
    }
    return light
  }

  return (x, y) => {
    const [dx, dy] = [x - core.x, y - core.y]
    const along = dx * cos + dy * sin
    const across = -dx * sin + dy * cos
    const [u, v] = [along * 1.5 + phase, across * 2 + phase]
    const qx = noise.fbm(u, v, 4)
    const qy = noise.fbm(u + 5.2, v + 1.3, 4)
    const cloud = noise.fbm(u + 1.5 * qx, v + 1.5 * qy, 6)
    const wisps = noise.ridged(u * 1.5 + 1.1 * qy, v * 1.5 + 1.1 * qx + 30, 5)
    const band = Math.exp(-((across / 0.36) ** 2) - (along / 0.95) ** 2)
    const heart = Math.exp(-Math.hypot(along * 1.6, across * 2.6) * 4.4)
    const density = clamp(0.2 + 0.62 * cloud + 0.42 * band * wisps + 0.34 * band + 0.28 * heart)
    const dust =
      smoothstep(0.52, 0.86, noise.ridged(u * 0.95 + 0.8 * qy + 60, v * 1.05 + 0.8 * qx, 5)) *
      band *
      (1 - heart)
    let color = gas.at(density * 0.86)
    color = add(color, other, 0.4 * smoothstep(0.05, 0.55, qx) * (0.2 + band) * smoothstep(0.1, 0.6, density))
    color = add(color, gas.at(0.96), 0.5 * heart ** 1.5 * (0.45 + 0.8 * wisps))
    color = mix(color, scale(gas.at(0.06), 0.6), dust * 0.8)
    return add(color, stars(x, y, dust))
  }
}
