import { add, Gradient, mix, type Oklch, type Rgb, rgb, scale } from './color.ts'
import { clamp, lerp, Noise, smoothstep } from './noise.ts'
import type { Palette } from './palette.ts'
import { hashCell, type Random } from './random.ts'

/**
 * Light at a place of a picture. `x` runs from the middle, `y` from the top down to 1, both in heights of the picture.
 */
export type Shade = (x: number, y: number) => Rgb

export interface Sky {
  readonly at: Shade
  readonly sun: { readonly x: number; readonly y: number; readonly light: Rgb }
  /** Colour of the air just above the horizon. */
  readonly haze: Rgb
}

export interface SkyOptions {
  readonly palette: Palette
  readonly random: Random
  readonly seed: number
  readonly aspect: number
  /** Where the sky ends. */
  readonly horizon: number
  readonly isNight: boolean
  readonly aurora: boolean
}

/** A sky with its sun or moon, clouds lit by it, stars, and northern lights where they are asked for. */
export function createSky(options: SkyOptions): Sky {
  const { palette, random, seed, aspect, horizon, isNight, aurora } = options
  const noise = new Noise(seed)
  const tilt = (random() - 0.5) * 16
  const gradient = new Gradient(palette.sky.map(([l, c, h]): Oklch => [l, c, h + tilt]))
  const reach = Math.min(aspect, 1.6)
  const sun = {
    x: (random() < 0.5 ? -1 : 1) * lerp(0.06, 0.27, random()) * reach,
    y: isNight ? horizon * lerp(0.2, 0.42, random()) : horizon * lerp(0.62, 0.86, random()),
    light: rgb(palette.sun),
  }
  const radius = isNight ? lerp(0.04, 0.055, random()) : lerp(0.045, 0.075, random())
  const lit = rgb(palette.cloudLit)
  const shade = rgb(palette.cloudShade)
  const offset = random() * 100

  function air(x: number, y: number): Rgb {
    const drift = 0.035 * noise.fbm(x * 1.3 + offset, y * 2.2, 2)
    const base = gradient.at(y / horizon + drift)
    const distance = Math.hypot((x - sun.x) * 0.8, y - sun.y)
    const halo = palette.glow * (0.42 * Math.exp(-distance * 4.2) + 0.5 * Math.exp(-distance * 13))
    return add(base, sun.light, halo)
  }

  function disc(x: number, y: number): number {
    return smoothstep(radius, radius - 0.0035, Math.hypot(x - sun.x, y - sun.y))
  }

  function moon(x: number, y: number): Rgb {
    const maria = noise.fbm((x - sun.x) * 26 + 7, (y - sun.y) * 26, 4)
    const limb = 1 - 0.35 * (Math.hypot(x - sun.x, y - sun.y) / radius) ** 3
    return scale(sun.light, limb * (0.92 - 0.3 * smoothstep(-0.05, 0.35, maria)))
  }

  /** Cover of clouds at a place, long and flat towards the horizon. */
  function cover(x: number, y: number): number {
    const depth = 0.45 + 1.9 * (y / horizon) ** 1.5
    const [u, v] = [x * 1.5 + offset, y * 2.3 * depth + 3]
    const warp = noise.fbm(u * 1.1 + 9, v * 1.1, 2)
    const density = noise.fbm(u + 0.55 * warp, v + 0.4 * warp, 5)
    const threshold = lerp(0.34, -0.3, palette.clouds)
    return smoothstep(threshold, threshold + 0.42, density)
  }

  function clouds(x: number, y: number, behind: Rgb): Rgb {
    const here = cover(x, y)
    if (here <= 0.002) return behind
    const [toSunX, toSunY] = [sun.x - x, sun.y - y]
    const distance = Math.hypot(toSunX, toSunY) + 1e-6
    const step = 0.028
    const towards = cover(x + (toSunX / distance) * step, y + (toSunY / distance) * step)
    const edge = clamp(0.52 + (here - towards) * 2.1)
    const near = Math.exp(-distance * 2.6)
    const body = add(
      mix(shade, lit, edge * 0.75 + 0.25 * (1 - here)),
      sun.light,
      0.32 * near * edge * palette.glow,
    )
    const fade = smoothstep(horizon * 1.02, horizon * 0.8, y) * 0.65 + 0.25
    return mix(behind, body, here * fade)
  }

  function stars(x: number, y: number): Rgb {
    let light: Rgb = [0, 0, 0]
    for (const [cells, brightness, density] of [
      [17, 1.3, 0.16],
      [37, 0.6, 0.2],
      [71, 0.3, 0.24],
    ] as const) {
      const [cx, cy] = [Math.floor(x * cells), Math.floor(y * cells)]
      const chance = hashCell(cx, cy, seed + cells)
      if (chance > density) continue
      const px = (cx + 0.1 + 0.8 * hashCell(cx, cy, seed + 1)) / cells
      const py = (cy + 0.1 + 0.8 * hashCell(cx, cy, seed + 2)) / cells
      const distance = Math.hypot(x - px, y - py)
      const size = 0.0011 + 0.0009 * hashCell(cx, cy, seed + 3)
      const warmth = hashCell(cx, cy, seed + 4)
      const strength = brightness * Math.exp(-((distance / size) ** 2)) * (0.3 + (0.9 * chance) / density)
      light = add(light, [0.8 + 0.3 * warmth, 0.92, 1.25 - 0.35 * warmth], strength)
    }
    return light
  }

  function milkyWay(x: number, y: number): Rgb {
    const across = x * 0.72 + y * 0.7 - 0.28 + 0.12 * noise.fbm(x * 2, y * 2 + 40, 2)
    const band = Math.exp(-((across / 0.16) ** 2))
    const dust = smoothstep(-0.3, 0.55, noise.fbm(x * 4.5 + 60, y * 4.5, 4))
    return scale([0.1, 0.105, 0.17], band * dust)
  }

  function northernLights(x: number, y: number): Rgb {
    let light: Rgb = [0, 0, 0]
    for (let curtain = 0; curtain < 3; curtain += 1) {
      const sway = noise.fbm(x * 1.15 + curtain * 13.7 + offset, curtain * 5.1, 3)
      const foot = horizon * (0.82 - 0.2 * curtain) + 0.34 * sway
      const above = foot - y
      if (above < -0.03) continue
      const rays = 0.5 + 0.5 * noise.fbm(x * 20 + sway * 10 + curtain * 31, above * 0.8, 3)
      const thin = 0.45 + 0.55 * smoothstep(-0.35, 0.45, noise.at(x * 1.7 + curtain * 7, 2.2))
      const rise = smoothstep(-0.03, 0.03, above) * Math.exp(-Math.max(0, above) * (5.2 + 2.4 * rays))
      const strength = (1.15 - 0.25 * curtain) * rise * thin * (0.35 + rays)
      const hue = clamp(above * 3.4 + 0.12 * curtain)
      light = add(light, mix([0.06, 0.95, 0.42], [0.5, 0.12, 0.85], hue), strength * 0.72)
    }
    return light
  }

  return {
    sun,
    haze: gradient.at(0.97),
    at(x, y) {
      let color = air(x, y)
      if (palette.stars > 0) {
        const fade = palette.stars * smoothstep(horizon, horizon * 0.45, y)
        color = add(add(color, stars(x, y), fade), milkyWay(x, y), isNight && !aurora ? fade : 0)
      }
      if (aurora) color = add(color, northernLights(x, y))
      const face = palette.disc ? disc(x, y) : 0
      if (face > 0) color = mix(color, isNight ? moon(x, y) : scale(sun.light, 1.25), face)
      return clouds(x, y, color)
    },
  }
}
