import type { Oklch } from './color.ts'
import type { Mood } from './words.ts'

/** The light of an hour: what colours sky, sun and land have at it. */
export interface Palette {
  /** From the top to the horizon. */
  readonly sky: readonly Oklch[]
  readonly sun: Oklch
  /** How far the sun's glow reaches, 0 to 1. */
  readonly glow: number
  readonly cloudLit: Oklch
  readonly cloudShade: Oklch
  /** How much of the sky clouds cover, 0 to 1. */
  readonly clouds: number
  /** Land close by; what is far takes the colour of the horizon. */
  readonly near: Oklch
  /** Land halfway there, so that haze and land do not meet in grey. */
  readonly middle: Oklch
  readonly mist: Oklch
  readonly stars: number
  /** Whether sun or moon is seen, or only its light. */
  readonly disc: boolean
}

export const PALETTES: Record<Mood, Palette> = {
  sunset: {
    sky: [
      [0.33, 0.11, 282],
      [0.45, 0.15, 318],
      [0.62, 0.18, 15],
      [0.76, 0.165, 48],
      [0.88, 0.12, 80],
    ],
    sun: [0.95, 0.11, 82],
    glow: 0.9,
    cloudLit: [0.78, 0.16, 40],
    cloudShade: [0.45, 0.12, 330],
    clouds: 0.5,
    near: [0.16, 0.05, 300],
    middle: [0.46, 0.13, 350],
    mist: [0.66, 0.15, 30],
    stars: 0.12,
    disc: true,
  },
  dawn: {
    sky: [
      [0.62, 0.085, 262],
      [0.72, 0.085, 295],
      [0.82, 0.085, 350],
      [0.89, 0.075, 45],
      [0.95, 0.06, 85],
    ],
    sun: [0.98, 0.06, 85],
    glow: 0.7,
    cloudLit: [0.93, 0.06, 40],
    cloudShade: [0.72, 0.07, 310],
    clouds: 0.4,
    near: [0.33, 0.055, 265],
    middle: [0.67, 0.075, 310],
    mist: [0.92, 0.045, 40],
    stars: 0,
    disc: true,
  },
  day: {
    sky: [
      [0.54, 0.14, 252],
      [0.66, 0.125, 244],
      [0.79, 0.085, 232],
      [0.91, 0.045, 218],
    ],
    sun: [0.99, 0.03, 95],
    glow: 0.4,
    cloudLit: [0.985, 0.01, 90],
    cloudShade: [0.79, 0.035, 250],
    clouds: 0.55,
    near: [0.42, 0.095, 145],
    middle: [0.6, 0.085, 165],
    mist: [0.88, 0.04, 215],
    stars: 0,
    disc: true,
  },
  night: {
    sky: [
      [0.15, 0.055, 275],
      [0.2, 0.08, 272],
      [0.29, 0.095, 265],
      [0.41, 0.09, 250],
      [0.5, 0.075, 225],
    ],
    sun: [0.96, 0.025, 95],
    glow: 0.35,
    cloudLit: [0.46, 0.06, 255],
    cloudShade: [0.22, 0.06, 270],
    clouds: 0.28,
    near: [0.1, 0.03, 268],
    middle: [0.24, 0.065, 258],
    mist: [0.4, 0.07, 245],
    stars: 1,
    disc: true,
  },
  storm: {
    sky: [
      [0.27, 0.03, 255],
      [0.36, 0.035, 248],
      [0.5, 0.035, 235],
      [0.68, 0.04, 205],
      [0.84, 0.05, 100],
    ],
    sun: [0.93, 0.06, 95],
    glow: 0.45,
    cloudLit: [0.66, 0.035, 210],
    cloudShade: [0.25, 0.03, 262],
    clouds: 0.9,
    near: [0.17, 0.025, 235],
    middle: [0.4, 0.03, 225],
    mist: [0.6, 0.03, 210],
    stars: 0,
    disc: false,
  },
  autumn: {
    sky: [
      [0.62, 0.06, 235],
      [0.74, 0.045, 200],
      [0.85, 0.06, 90],
      [0.92, 0.085, 80],
    ],
    sun: [0.97, 0.08, 85],
    glow: 0.75,
    cloudLit: [0.95, 0.05, 75],
    cloudShade: [0.75, 0.05, 55],
    clouds: 0.35,
    near: [0.33, 0.105, 38],
    middle: [0.6, 0.12, 52],
    mist: [0.87, 0.09, 70],
    stars: 0,
    disc: true,
  },
  winter: {
    sky: [
      [0.55, 0.085, 258],
      [0.67, 0.075, 256],
      [0.8, 0.05, 270],
      [0.9, 0.04, 340],
      [0.95, 0.035, 60],
    ],
    sun: [0.99, 0.025, 80],
    glow: 0.6,
    cloudLit: [0.96, 0.02, 20],
    cloudShade: [0.74, 0.045, 270],
    clouds: 0.35,
    near: [0.42, 0.06, 258],
    middle: [0.68, 0.06, 262],
    mist: [0.91, 0.025, 280],
    stars: 0,
    disc: true,
  },
}
