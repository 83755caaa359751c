import { useEffect, useRef } from 'react'
import type { Tile } from './history.ts'
import classes from './tile-canvas.module.css'

interface TileCanvasProps {
  readonly tiles: readonly Tile[]
  /** Of the whole picture, in pixels. */
  readonly width: number
  readonly height: number
}

/** A picture that is still being painted: its whole area is there from the start, tiles appear as they come. */
export function TileCanvas({ tiles, width, height }: TileCanvasProps) {
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
        <span key={nameOf(latest)} className={classes.latest} style={placeOf(latest, width, height)} />
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
    // A tile that is no picture leaves its place blank.
  }
}

function nameOf({ x, y }: Tile): string {
  return `${x},${y}`
}

function placeOf(tile: Tile, width: number, height: number) {
  return {
    left: `${(tile.x / width) * 100}%`,
    top: `${(tile.y / height) * 100}%`,
    width: `${(tile.width / width) * 100}%`,
    height: `${(tile.height / height) * 100}%`,
  }
}
