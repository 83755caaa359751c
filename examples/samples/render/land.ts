import { add, mix, type Oklch, type Rgb, rgb, scale } from './color.ts'
import { clamp, lerp, Noise, smoothstep } from './noise.ts'
import { PALETTES, type Palette } from './palette.ts'
import { hashCell, type Random } from './random.ts'
import type { Sky } from './sky.ts'

export type LandKind = 'mountains' | 'hills' | 'forest' | 'dunes' | 'city' | 'sea'

export interface LandOptions {
  readonly kind: LandKind
  readonly palette: Palette
  readonly sky: Sky
  readonly random: Random
  readonly seed: number
  readonly horizon: number
  /** Where the nearest range stands. */
  readonly floor: number
  readonly snow: boolean
  readonly isNight: boolean
  /** Hue of the land close by; null: the palette's. */
  readonly hue: number | null
}

/** One range of land, from far to near: where it ends towards the sky and what it looks like below that. */
interface Range {
  /** Nearness, 0 far to 1 near. */
  readonly near: number
  top(x: number): number
  color(x: number, below: number): Rgb
  /** Whether something that stands on the range (a tree, a house) covers this place; its colour, else null. */
  standing(x: number, y: number, top: number): Rgb | null
}

export interface Land {
  /** What covers a place, else null: the sky is seen. */
  at(x: number, y: number): Rgb | null
}

const RANGES: Record<LandKind, number> = { mountains: 6, hills: 6, forest: 6, dunes: 5, city: 5, sea: 1 }

export function createLand(options: LandOptions): Land {
  const count = RANGES[options.kind]
  const ranges = Array.from({ length: count }, (_, index) => createRange(options, index, count))
  // From near to far: the first that covers a place is what is seen.
  const nearestFirst = ranges.toReversed()
  return {
    at(x, y) {
      for (const range of nearestFirst) {
        const top = range.top(x)
        if (y >= top) return range.color(x, y - top)
        const standing = range.standing(x, y, top)
        if (standing !== null) return standing
      }
      return null
    },
  }
}

function createRange(options: LandOptions, index: number, count: number): Range {
  const { kind, palette, sky, random, seed, horizon, floor, snow, isNight } = options
  const noise = new Noise(seed + 101 * (index + 1))
  const near = count === 1 ? 0.25 : index / (count - 1)
  const foot = lerp(horizon, floor, near ** 1.25)
  const phase = random() * 50
  const [lightness, chroma, hue] = palette.near
  const own: Oklch = [lightness, options.hue === null ? chroma : Math.max(chroma, 0.07), options.hue ?? hue]
  const close = kind === 'dunes' ? rgb(duneColor(palette)) : rgb(own)
  const far = mix(sky.haze, rgb(palette.mist), 0.35)
  const middle = mix(rgb(palette.middle), close, kind === 'dunes' ? 0.5 : 0.12)
  const depth = lerp(0.12, 1, near ** 0.85)
  const ground = depth < 0.5 ? mix(far, middle, depth * 2) : mix(middle, close, depth * 2 - 1)
  const mist = mix(ground, rgb(palette.mist), lerp(0.75, 0.22, near))
  const towardsSun = sky.sun.x
  const autumn = palette === PALETTES.autumn
  const leafy = kind === 'hills' && (autumn || palette === PALETTES.day || palette === PALETTES.dawn)

  // The same columns and trees are looked at again in every row.
  const known = new Map<number, number>()

  function height(x: number): number {
    let found = known.get(x)
    if (found === undefined) {
      found = heightAt(x)
      if (known.size > 8192) known.clear()
      known.set(x, found)
    }
    return found
  }

  function heightAt(x: number): number {
    if (kind === 'mountains') {
      const spread = lerp(1.5, 2.6, near)
      const crest = noise.ridged(x * spread + phase, phase, 6) - 0.42
      const mass = noise.fbm(x * 0.9 + phase, 7, 2)
      return lerp(0.36, 0.13, near) * crest + lerp(0.13, 0.05, near) * mass + lerp(0.05, 0.02, near)
    }
    if (kind === 'hills')
      return lerp(0.07, 0.1, near) * noise.fbm(x * lerp(1.6, 1.05, near) + phase, 3, 3) + 0.03
    if (kind === 'forest') return lerp(0.09, 0.06, near) * noise.fbm(x * 1.5 + phase, 3, 3) + 0.05
    if (kind === 'dunes') return lerp(0.06, 0.17, near) * duneCrest(x)
    if (kind === 'sea') return 0.045 * (noise.fbm(x * 1.4 + phase, 3, 5) - 0.28)
    return 0.012 * noise.at(x * 2 + phase, 3)
  }

  function duneCrest(x: number): number {
    const wave = noise.fbm(x * lerp(1.5, 0.85, near) + phase, 11, 2)
    return 0.7 - 1.7 * Math.abs(wave) ** 1.2
  }

  function color(x: number, below: number): Rgb {
    const veil = smoothstep(0.0, lerp(0.3, 0.2, near), below)
    let surface = mix(ground, mist, veil * 0.85)
    const sunside = Math.exp(-Math.abs(x - towardsSun) * 2.6)
    if (kind === 'mountains') surface = rock(x, below, surface)
    else if (kind === 'dunes') surface = sand(x, below, surface)
    else surface = scale(surface, 1 + 0.07 * noise.fbm(x * 14, below * 30 + phase, 3))
    // Light from behind draws the crest.
    return add(surface, sky.sun.light, palette.glow * sunside * lerp(0.34, 0.1, near) * Math.exp(-below * 70))
  }

  function rock(x: number, below: number, surface: Rgb): Rgb {
    // Gullies run down from the crest and spread: facets, lit on the side of the sun.
    const spread = lerp(9, 6, near)
    const [u, v] = [x * spread * (1 - 0.45 * smoothstep(0, 0.35, below)) + phase, below * 3.1]
    const warp = 0.22 * noise.fbm(u * 0.8, v * 1.7 + 20, 3)
    const lean = 0.09 * Math.sign(towardsSun - x || 1)
    const face = noise.ridged(u + warp, v + warp, 5)
    const sun = noise.ridged(u + warp + lean, v + warp - 0.05, 5)
    const relief = clamp((face - sun) * 3.4, -1, 1)
    const strength = lerp(0.26, 0.2, near)
    const shaded = scale(surface, 1 + strength * relief)
    if (!snow && near > 0.6) return shaded
    const line = (snow ? 0.13 : 0.065) * lerp(1, 0.75, near) + 0.09 * (face - 0.5)
    const cap = smoothstep(line, line - 0.03, below) * smoothstep(-0.75, 0.1, relief)
    const bright = mix(rgb(isNight ? [0.5, 0.055, 250] : [0.94, 0.02, 255]), sky.haze, lerp(0.5, 0.2, near))
    return mix(shaded, scale(bright, 0.82 + 0.3 * relief), cap * lerp(0.55, 0.85, near))
  }

  function sand(x: number, below: number, surface: Rgb): Rgb {
    // The edge between the lit and the shaded side wanders down from the crest like a ridge seen at a slant.
    const away = Math.sign(towardsSun || 1)
    const bend = noise.fbm(x * 2.2 + phase, below * 4, 2)
    const at = x + away * (below * 0.85 + 0.05 * bend)
    const slope = (duneCrest(at + 0.02) - duneCrest(at - 0.02)) * away
    const side = smoothstep(-0.045, 0.035, slope + 0.02)
    const ripples =
      0.5 + 0.5 * Math.sin((below * 210 + x * 24 + 5 * noise.fbm(x * 5, below * 8, 2)) * lerp(1.7, 1, near))
    const lit = add(scale(surface, 1.12), rgb(palette.sun), 0.1)
    const dark = mix(scale(surface, 0.58), rgb(palette.cloudShade), 0.24)
    return scale(mix(dark, lit, side), 1 + 0.05 * near * (ripples - 0.5) * side)
  }

  function standing(x: number, y: number, top: number): Rgb | null {
    if (kind === 'forest' || (kind === 'mountains' && near > 0.75) || (kind === 'hills' && near > 0.55)) {
      return tree(x, y)
    }
    return kind === 'city' ? house(x, y, top) : null
  }

  /** Some trees in every stretch of the range: pines, and round ones on hills in the warmer months. */
  function tree(x: number, y: number): Rgb | null {
    const stretch = lerp(0.012, 0.055, near ** 1.4) * (kind === 'forest' ? 1 : 0.7)
    const tallest = stretch * (leafy ? 3.3 : lerp(4.2, 5.2, near))
    const sparse = kind === 'forest' ? 0.92 : kind === 'hills' ? 0.42 : 0.62
    const cell = Math.floor(x / stretch)
    for (let at = cell - 2; at <= cell + 2; at += 1) {
      const chance = hashCell(at, index, seed)
      if (chance > sparse) continue
      const middle = (at + 0.15 + 0.7 * hashCell(at, index, seed + 1)) * stretch
      const tall = tallest * (0.4 + 0.6 * hashCell(at, index, seed + 2) ** 1.3)
      const base = foot - height(middle) + 0.004
      const down = (y - (base - tall)) / tall
      if (down < 0 || down > 1.02) continue
      const ragged = noise.at(x * (9 / stretch), y * (9 / stretch))
      const shape = leafy ? crown(down, ragged) : boughs(down, chance, ragged)
      if (Math.abs(x - middle) >= Math.max(tall * shape, tall * 0.012)) continue
      return leafy && down < 0.8
        ? foliage(chance, (x - middle) / tall, down, ragged)
        : mix(ground, mist, 0.12)
    }
    return null
  }

  function foliage(chance: number, aside: number, down: number, ragged: number): Rgb {
    const turned = autumn ? lerp(28, 82, (chance * 37) % 1) : own[2] + lerp(-18, 12, (chance * 37) % 1)
    const leaf = rgb([lerp(0.4, 0.58, (chance * 91) % 1), autumn ? 0.14 : 0.1, turned])
    const lit =
      1 + 0.55 * clamp(aside * Math.sign(towardsSun) * 3.2, -0.7, 0.7) - 0.45 * (down - 0.3) + 0.25 * ragged
    return mix(far, scale(isNight ? ground : leaf, lit), lerp(0.35, 0.92, near))
  }

  function house(x: number, y: number, top: number): Rgb | null {
    const widest = lerp(0.035, 0.12, near)
    const cell = Math.floor(x / widest + phase)
    const inCell = x / widest + phase - cell
    const chance = hashCell(cell, index, seed)
    const tall = lerp(0.16, 0.3, near) * (0.25 + 0.75 * chance ** 1.6) * (1 - 0.25 * Math.abs(x))
    const up = (top - y) / tall
    const setback = up > 0.78 && chance > 0.55 ? 0.2 : up > 0.55 && chance > 0.75 ? 0.1 : 0.03
    if (up > 1 || inCell < setback || inCell > 1 - setback) {
      const mast = chance > 0.72 && Math.abs(inCell - 0.5) < 0.012 && up <= 1.22
      return mast ? ground : null
    }
    const wall = mix(ground, mist, 0.5 * smoothstep(0.5, 0, up))
    const side = scale(wall, inCell < 0.5 === towardsSun < x ? 1.1 : 0.9)
    const [columns, rows] = [Math.round(lerp(5, 8, chance)), Math.round(tall / lerp(0.009, 0.02, near))]
    const [across, along] = [inCell * columns, up * rows]
    const pane = across % 1 > 0.28 && across % 1 < 0.76 && along % 1 > 0.3 && along % 1 < 0.72
    const key = hashCell(Math.floor(across) + 31 * cell, Math.floor(along) + 97 * index, seed + 5)
    const share = isNight ? 0.42 : palette.glow > 0.8 ? 0.24 : 0.05
    if (!pane || key > share || near < 0.2) return side
    const glow = rgb([0.84, lerp(0.07, 0.15, key / share), lerp(60, 95, hashCell(cell, index, seed + 6))])
    return mix(side, glow, lerp(0.35, 0.95, near))
  }

  return { near, top: (x) => foot - height(x), color, standing }
}

/** Half the width of a pine in its heights, this far down from its top: boughs that widen downwards. */
function boughs(down: number, chance: number, ragged: number): number {
  const bough = (down * (7 + Math.floor(5 * chance))) % 1
  return 0.21 * (0.1 + down ** 0.85) * (0.55 + 0.45 * bough + 0.24 * ragged)
}

/** The same of a round tree: a crown over a trunk. */
function crown(down: number, ragged: number): number {
  if (down > 0.8) return 0.025
  const round = 1 - ((down - 0.42) / 0.43) ** 2
  return 0.36 * Math.sqrt(Math.max(0, round)) * (0.9 + 0.22 * ragged)
}

function duneColor({ near, mist }: Palette): Oklch {
  return [clamp(lerp(near[0], mist[0], 0.55), 0.28, 0.72), 0.11, 58]
}
