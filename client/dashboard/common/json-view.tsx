import { memo, useMemo } from 'react'
import { Copy } from './copy.tsx'
import classes from './json-view.module.css'
import { Scroller } from './scroller.tsx'
import { type Json, shorten } from './shorten.ts'

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** JSON, indented and coloured, with everything large cut; copying gives all of it. */
export const JsonView = memo(function JsonView({ value, label }: { value: Json; label: string }) {
  const tokens = useMemo(() => [...tokenize(JSON.stringify(shorten(value), null, 2))], [value])
  return (
    <div className={classes.box}>
      <div className={classes.copy}>
        <Copy text={() => JSON.stringify(value, null, 2)} what={label} />
      </div>
      <Scroller label={label} className={classes.scroller}>
        <pre className={classes.json}>
          {tokens.map(({ kind, text, at }) => (
            <span key={at} data-kind={kind}>
              {text}
            </span>
          ))}
        </pre>
      </Scroller>
    </div>
  )
})

interface Token {
  readonly kind: 'key' | 'string' | 'literal' | 'punctuation'
  readonly text: string
  readonly at: number
}

function* tokenize(json: string): Generator<Token> {
  let end = 0
  for (const match of json.matchAll(TOKEN)) {
    const [text, string, colon] = match
    if (match.index > end) yield { kind: 'punctuation', text: json.slice(end, match.index), at: end }
    yield {
      kind: string === undefined ? 'literal' : colon === undefined ? 'string' : 'key',
      text,
      at: match.index,
    }
    end = match.index + text.length
  }
  if (end < json.length) yield { kind: 'punctuation', text: json.slice(end), at: end }
}
