import { formatNumber } from './format.ts'

/** Any JSON value, as jobs carry it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

const MAX_STRING = 240
const MAX_BASE64 = 48
const MAX_ITEMS = 100
const MAX_DEPTH = 12

const BASE64 = /^(data:[\w/+.-]+;base64,)?[A-Za-z0-9+/=]{200,}$/

/** The value with everything large cut, for display: long strings, base64, long lists, deep nesting. */
export function shorten(value: Json, depth = 0): Json {
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
