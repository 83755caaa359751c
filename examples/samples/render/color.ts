import { clamp, lerp } from './noise.ts'

/** Light: linear red, green and blue, 0 to 1 and beyond. */
export type Rgb = readonly [number, number, number]

/** Lightness 0–1, chroma 0–0.4, hue in degrees: steps that look even (OKLCH, CSS Color 4 section 9). */
export type Oklch = readonly [number, number, number]

const BLACK: Rgb = [0, 0, 0]

export function rgb([lightness, chroma, hue]: Oklch): Rgb {
  const angle = (hue * Math.PI) / 180
  return fromOklab(lightness, chroma * Math.cos(angle), chroma * Math.sin(angle))
}

function fromOklab(lightness: number, a: number, b: number): Rgb {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    Math.max(0, 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    Math.max(0, -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    Math.max(0, -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ]
}

export function mix(a: Rgb, b: Rgb, t: number): Rgb {
  return [lerp(a[0], b[0], t), lerp(a[1], b[1], t), lerp(a[2], b[2], t)]
}

export function scale(color: Rgb, by: number): Rgb {
  return [color[0] * by, color[1] * by, color[2] * by]
}

/** `by` times `light`, on top of a colour. */
export function add(color: Rgb, light: Rgb, by = 1): Rgb {
  return [color[0] + light[0] * by, color[1] + light[1] * by, color[2] + light[2] * by]
}

const STEPS = 512

/** A smooth way through colours, evenly spaced, mixed where the eye sees no jumps; looked up by 0–1. */
export class Gradient {
  readonly #colors: Rgb[]

  constructor(stops: readonly Oklch[]) {
    const labs = stops.map(([lightness, chroma, hue]) => {
      const angle = (hue * Math.PI) / 180
      return [lightness, chroma * Math.cos(angle), chroma * Math.sin(angle)] as const
    })
    this.#colors = Array.from({ length: STEPS + 1 }, (_, step) => {
      const at = (step / STEPS) * (labs.length - 1)
      const from = labs[Math.floor(at)] ?? [0, 0, 0]
      const to = labs[Math.ceil(at)] ?? from
      const t = at - Math.floor(at)
      return fromOklab(lerp(from[0], to[0], t), lerp(from[1], to[1], t), lerp(from[2], to[2], t))
    })
  }

  at(position: number): Rgb {
    return this.#colors[Math.round(clamp(position) * STEPS)] ?? BLACK
  }
}

/** Light as a byte of sRGB; what is brighter than the screen rolls off softly instead of being cut. */
export function toByte(light: number, dither: number): number {
  const soft = light < 0.7 ? light : 1 - 0.3 * Math.exp(-(light - 0.7) / 0.3)
  const encoded = soft <= 0.0031308 ? 12.92 * soft : 1.055 * soft ** (1 / 2.4) - 0.055
  return clamp(Math.round(encoded * 255 + dither), 0, 255)
}
