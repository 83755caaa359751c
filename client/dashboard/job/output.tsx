import { memo, useEffect, useRef } from 'react'
import type { JobEvent } from '../../../shared/event.ts'
import type { Missed, WatchEvent } from '../../index.ts'
import { formatNumber } from '../common/format.ts'
import { inOneLine, isPictureUrl, isRecord, type Json } from '../common/json.tsx'
import { Section, Tail } from '../common/parts.tsx'
import { missedText, visible } from '../common/words.ts'
import classes from './output.module.css'

type ChunkEvent = Extract<JobEvent, { kind: 'chunk' }>

const MAX_LINES = 200

interface OutputProps {
  readonly output: ReturnType<typeof outputOf>
  readonly payload: Json
}

/** What the job has sent so far: tiles as the picture they make up, anything else as text. */
export const Output = memo(function Output({ output, payload }: OutputProps) {
  const chunks = output.filter((event) => event.kind === 'chunk')
  const tiles = chunks.map(({ data }) => asTile(data)).filter((tile) => tile !== null)
  const rest = output.filter((event) => event.kind === 'missed' || asTile(event.data) === null)
  const shown = rest.slice(-MAX_LINES)
  const left = rest.slice(0, -MAX_LINES)
  const leftChunks = left.filter(({ kind }) => kind === 'chunk').length
  return (
    <Section
      title="Output"
      aside={`${formatNumber(chunks.length)} ${chunks.length === 1 ? 'piece' : 'pieces'}`}
    >
      {tiles.length > 0 && <TileCanvas tiles={tiles} {...sizeOf(payload, tiles)} />}
      {shown.length > 0 && (
        <Tail label="Pieces of output" className={classes.lines} last={shown.at(-1)?.seq}>
          {left.map((event) => event.kind === 'missed' && <Piece key={event.seq} event={event} />)}
          {leftChunks > 0 && (
            <p className={classes.left}>{formatNumber(leftChunks)} earlier ones are not shown</p>
          )}
          {shown.map((event) => (
            <Piece key={event.seq} event={event} />
          ))}
        </Tail>
      )}
    </Section>
  )
})

/**
 * What the latest run has sent so far; in between, what is missing among all events. Once it is painted, the result shows
 * the picture, and the tiles that it was made of are left out.
 */
export function outputOf(
  events: readonly WatchEvent[],
  isPainted: boolean,
): readonly (ChunkEvent | Missed)[] {
  const claim = events.findLastIndex((event) => event.kind === 'status' && event.data.status === 'processing')
  const sent = events.slice(claim + 1).filter((event) => event.kind === 'chunk' || event.kind === 'missed')
  return isPainted ? sent.filter((event) => event.kind === 'missed' || asTile(event.data) === null) : sent
}

function Piece({ event }: { event: ReturnType<typeof outputOf>[number] }) {
  if (event.kind === 'missed') return <p className={classes.left}>{missedText(event)}</p>
  return <p className={classes.line}>{visible(inOneLine(event.data))}</p>
}

/** The picture is as large as the payload asks for; else as the tiles reach. */
function sizeOf(payload: Json, tiles: readonly { x: number; y: number; width: number; height: number }[]) {
  if (isRecord(payload) && typeof payload.width === 'number' && typeof payload.height === 'number') {
    return { width: payload.width, height: payload.height }
  }
  return {
    width: Math.max(...tiles.map((tile) => tile.x + tile.width)),
    height: Math.max(...tiles.map((tile) => tile.y + tile.height)),
  }
}

interface TileCanvasProps {
  readonly tiles: readonly Tile[]
  /** The size of the whole picture, in pixels. */
  readonly width: number
  readonly height: number
}

/** A picture that is still being painted: its whole area is there from the start, tiles appear as they come. */
function TileCanvas({ tiles, width, height }: TileCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const drawn = useRef(new Set<string>())
  const latest = tiles.at(-1)

  useEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (context == null) return
    for (const tile of tiles) {
      if (drawn.current.has(nameOf(tile))) continue
      drawn.current.add(nameOf(tile))
      draw(context, tile)
    }
  }, [tiles])

  return (
    <div className={classes.frame} style={{ aspectRatio: `${width} / ${height}`, maxWidth: width }}>
      <canvas
        ref={canvas}
        className={classes.canvas}
        width={width}
        height={height}
        role="img"
        aria-label={`The picture so far: ${tiles.length} tiles`}
        data-tiles={tiles.length}
      />
      {latest !== undefined && (
        <span key={nameOf(latest)} className={classes.latest} style={areaOf(latest, width, height)} />
      )}
    </div>
  )
}

async function draw(context: CanvasRenderingContext2D, tile: Tile): Promise<void> {
  const image = new Image()
  image.src = tile.dataUrl
  try {
    await image.decode()
    context.drawImage(image, tile.x, tile.y, tile.width, tile.height)
  } catch {
    // A tile that is no picture leaves its area blank.
  }
}

function nameOf({ x, y }: Tile): string {
  return `${x},${y}`
}

function areaOf(tile: Tile, width: number, height: number) {
  return {
    left: `${(tile.x / width) * 100}%`,
    top: `${(tile.y / height) * 100}%`,
    width: `${(tile.width / width) * 100}%`,
    height: `${(tile.height / height) * 100}%`,
  }
}

/** A piece of a picture that is painted bit by bit; positions and sizes in pixels. */
interface Tile {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly dataUrl: string
}

/** The chunk as a tile, or null where it is something else. */
function asTile(data: Json): Tile | null {
  if (!isRecord(data)) return null
  const { x, y, width, height, dataUrl } = data
  if (typeof x !== 'number' || typeof y !== 'number') return null
  if (typeof width !== 'number' || typeof height !== 'number' || !isPictureUrl(dataUrl)) return null
  return { x, y, width, height, dataUrl }
}
