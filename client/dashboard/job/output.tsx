import { memo } from 'react'
import { formatNumber } from '../common/format.ts'
import { Section } from '../common/section.tsx'
import { inOneLine, type Json } from '../common/shorten.ts'
import { Tail } from '../common/tail.tsx'
import { visible } from './control-characters.ts'
import { asTile, inWordsMissed, isRecord, type outputOf } from './history.ts'
import classes from './output.module.css'
import { TileCanvas } from './tile-canvas.tsx'

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

function Piece({ event }: { event: ReturnType<typeof outputOf>[number] }) {
  if (event.kind === 'missed') return <p className={classes.left}>{inWordsMissed(event)}</p>
  return <p className={classes.line}>{visible(inOneLine(event.data))}</p>
}

/** As the payload asks for it; else as far as the tiles reach. */
function sizeOf(payload: Json, tiles: readonly { x: number; y: number; width: number; height: number }[]) {
  if (isRecord(payload) && typeof payload.width === 'number' && typeof payload.height === 'number') {
    return { width: payload.width, height: payload.height }
  }
  return {
    width: Math.max(...tiles.map((tile) => tile.x + tile.width)),
    height: Math.max(...tiles.map((tile) => tile.y + tile.height)),
  }
}
