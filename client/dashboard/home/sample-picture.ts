import { contextOf, newCanvas, toBlob } from './picture.ts'

const WIDTH = 1600
const HEIGHT = 1067

const RIDGES = [
  { base: 0.56, height: 0.1, waves: 3.1, colour: '#8b86b8' },
  { base: 0.66, height: 0.12, waves: 2.3, colour: '#5f5f9a' },
  { base: 0.78, height: 0.11, waves: 3.7, colour: '#3b3f75' },
  { base: 0.9, height: 0.09, waves: 2.7, colour: '#1f2450' },
]

/** A picture for whoever has none at hand: hills at dusk, drawn here. */
export async function samplePicture(): Promise<File> {
  const canvas = newCanvas(WIDTH, HEIGHT)
  const context = contextOf(canvas)
  paintSky(context)
  for (const [index, ridge] of RIDGES.entries()) paintRidge(context, ridge, index)
  return new File([await toBlob(canvas, 'image/jpeg', 0.92)], 'hills-at-dusk.jpg', { type: 'image/jpeg' })
}

function paintSky(context: CanvasRenderingContext2D): void {
  const sky = context.createLinearGradient(0, 0, 0, HEIGHT * 0.75)
  sky.addColorStop(0, '#27306b')
  sky.addColorStop(0.45, '#b66a8f')
  sky.addColorStop(0.8, '#f4a873')
  sky.addColorStop(1, '#ffd9a0')
  context.fillStyle = sky
  context.fillRect(0, 0, WIDTH, HEIGHT)

  const sun = context.createRadialGradient(1080, 560, 40, 1080, 560, 420)
  sun.addColorStop(0, 'rgba(255, 244, 214, 1)')
  sun.addColorStop(0.16, 'rgba(255, 226, 170, 0.95)')
  sun.addColorStop(0.2, 'rgba(255, 206, 150, 0.4)')
  sun.addColorStop(1, 'rgba(255, 190, 140, 0)')
  context.fillStyle = sun
  context.fillRect(0, 0, WIDTH, HEIGHT)
}

function paintRidge(context: CanvasRenderingContext2D, ridge: (typeof RIDGES)[number], index: number): void {
  context.beginPath()
  context.moveTo(0, HEIGHT)
  for (let x = 0; x <= WIDTH; x += 4) {
    const t = (x / WIDTH) * Math.PI * ridge.waves + index * 1.7
    const rise = 0.6 * Math.sin(t) + 0.3 * Math.sin(2.3 * t + 1) + 0.08 * Math.sin(11 * t)
    context.lineTo(x, HEIGHT * (ridge.base - ridge.height * rise))
  }
  context.lineTo(WIDTH, HEIGHT)
  context.fillStyle = ridge.colour
  context.fill()
}
