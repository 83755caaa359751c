import { memo, useMemo } from 'react'
import { formatNumber } from './format.ts'
import classes from './json.module.css'
import { Copy, Scroller } from './parts.tsx'

/** Any JSON value, as jobs carry it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

const MAX_STRING = 240
const MAX_BASE64 = 48
const MAX_ITEMS = 100
const MAX_DEPTH = 12

const BASE64 = /^(data:[\w/+.-]+;base64,)?[A-Za-z0-9+/=]{200,}$/

/** The value with everything large cut, for display: long strings, base64, long lists, deep nesting. */
function shorten(value: Json, depth = 0): Json {
  if (typeof value === 'string') return shortenText(value)
  if (value === null || typeof value !== 'object') return value
  if (depth >= MAX_DEPTH) return '…'
  if (isList(value)) {
    const kept = value.slice(0, MAX_ITEMS).map((item) => shorten(item, depth + 1))
    const left = value.length - kept.length
    return left === 0 ? kept : [...kept, `… ${formatNumber(left)} more`]
  }
  const entries = Object.entries(value)
  const kept = entries.slice(0, MAX_ITEMS).map(([key, item]) => [key, shorten(item, depth + 1)] as const)
  const left = entries.length - kept.length
  return Object.fromEntries(left === 0 ? kept : [...kept, ['…', `${formatNumber(left)} more`]])
}

function shortenText(text: string): string {
  const most = BASE64.test(text.slice(0, 1000)) ? MAX_BASE64 : MAX_STRING
  if (text.length <= most) return text
  return `${text.slice(0, most)}… (${formatNumber(text.length)} characters)`
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

/** One line of text for a value, cut at `most` characters. */
export function inOneLine(value: Json, most = 400): string {
  const text = typeof value === 'string' ? value : JSON.stringify(shorten(value))
  return text.length <= most ? text : `${text.slice(0, most)}…`
}

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

export function isRecord(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isPictureUrl(value: Json | undefined): value is string {
  return typeof value === 'string' && /^data:image\/(png|jpeg|webp|avif|gif);base64,/.test(value)
}
