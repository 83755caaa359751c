import { add, mix, type Rgb, rgb, scale } from './color.ts'
import { createLand, type LandKind } from './land.ts'
import { lerp, Noise, smoothstep } from './noise.ts'
import { PALETTES } from './palette.ts'
import type { Random } from './random.ts'
import { createSky, type Shade } from './sky.ts'
import type { Brief, Mood } from './words.ts'

export interface LandscapeOptions {
  readonly brief: Brief
  readonly kind: LandKind
  readonly random: Random
  readonly seed: number
  readonly aspect: number
}

/** Sky, ranges of land in the haze of distance and, where the prompt or chance wants it, water that mirrors them. */
export function composeLandscape({ brief, kind, random, seed, aspect }: LandscapeOptions): Shade {
  const mood = brief.mood ?? (brief.aurora ? 'night' : chosen(random, kind))
  const palette = PALETTES[mood]
  const isNight = mood === 'night'
  const water = kind === 'sea' || brief.water || (kind === 'city' && random() < 0.6)
  const horizon =
    kind === 'sea'
      ? lerp(0.52, 0.62, random())
      : water
        ? lerp(0.5, 0.58, random())
        : lerp(0.56, 0.64, random())
  const sky = createSky({ palette, random, seed, aspect, horizon, isNight, aurora: brief.aurora })
  const hue = brief.hue ?? (kind === 'forest' && mood === 'day' ? 155 : null)
  const shore = kind === 'sea' ? horizon : horizon + lerp(0.1, 0.16, random())
  const floor = water ? shore : 0.97
  const land = createLand({
    kind,
    palette,
    sky,
    random,
    seed,
    horizon,
    floor,
    snow: brief.snow,
    isNight,
    hue,
  })
  const noise = new Noise(seed + 7)
  const deep = rgb([palette.near[0] * 0.9 + 0.06, 0.06, isNight ? 255 : 225])

  const dry: Shade = (x, y) => land.at(x, y) ?? sky.at(x, y)
  if (!water) return dry

  return (x, y) => {
    if (y < shore) return dry(x, y)
    return lake(x, y)
  }

  function lake(x: number, y: number): Rgb {
    const depth = (y - shore) / (1 - shore)
    // Waves look smaller and flatter the further they are away.
    const distance = 1 / (depth + 0.045)
    const [u, v] = [x * distance * 1.1, distance * 3.4]
    const chop = noise.fbm(u * 0.9 + 5, v * 1.6, 4) + 0.45 * noise.at(u * 3.1, v * 4.7)
    const calm = mood === 'storm' ? 2 : kind === 'sea' ? 1 : 0.42
    const bend = chop * calm * lerp(0.012, 0.075, depth)
    const mirrored = dry(x + 0.35 * bend, Math.max(0.004, 2 * shore - y + bend - 0.25 * depth * (y - shore)))
    const facing = lerp(0.9, 0.52, smoothstep(0, 1, depth))
    let color = mix(deep, mirrored, facing)
    color = scale(color, 1 + 0.22 * calm * chop * (0.35 + depth))
    // Foam where the waves of a storm break.
    if (mood === 'storm') color = add(color, sky.haze, 0.5 * smoothstep(0.42, 0.8, chop) * (0.3 + depth))
    return add(color, sky.sun.light, glitter(x, depth, chop) * calm)
  }

  /** The sun's path on the water: broken into sparks by the waves. */
  function glitter(x: number, depth: number, chop: number): number {
    const width = lerp(0.045, 0.2, depth)
    const path = Math.exp(-(((x - sky.sun.x) / width) ** 2))
    const sparks = smoothstep(0.12, 0.75, chop + 0.3 * path)
    return path * sparks * (isNight ? 0.5 : 0.95) * (0.4 + palette.glow)
  }
}

function chosen(random: Random, kind: LandKind): Mood {
  const fitting: Record<LandKind, readonly Mood[]> = {
    mountains: ['dawn', 'sunset', 'day', 'winter'],
    hills: ['dawn', 'day', 'autumn', 'sunset'],
    forest: ['dawn', 'autumn', 'sunset', 'day'],
    dunes: ['sunset', 'dawn', 'night'],
    city: ['sunset', 'night', 'dawn'],
    sea: ['sunset', 'dawn', 'day'],
  }
  const moods = fitting[kind]
  return moods[Math.floor(random() * moods.length)] ?? 'sunset'
}
