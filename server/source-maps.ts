import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { pathToFileURL } from 'node:url'
import { isTransformed } from './jobs/module.ts'

/** Where the code of this package lies, as the frames of its own functions begin. */
const OWN = new URL('.', import.meta.url).href
/** `    at name (file:///…/file.js:1:2)`, or without a name and parentheses; modules of CommonJS have paths. */
const FRAME = /^( {4}at (?:async )?(?:.+ \()?)((?:file:\/\/|\/|[A-Za-z]:\\).*?):(\d+):(\d+)(\)?)$/
const MAPPING = /^\/\/[#@] sourceMappingURL=(\S+)\s*$/gm
/** How long maps are kept after they were used, in ms: they are large, and errors come in crowds. */
const KEPT_MS = 10_000

const maps = new Map<string, FileMap | null>()
let forgetting: NodeJS.Timeout | null = null

interface FileMap {
  readonly map: SourceMap
  readonly href: string
}

/**
 * A stack whose frames say where in its source each function stands, where the file that runs has a source map; where it is
 * transformed as it is loaded, its columns are not those of the source, and are left out. Done
 * only when somebody is to read it: maps that Node keeps for every file that it loads would cost each start.
 */
export function inSource(stack: string): string {
  return stack.replaceAll(/^ {4}at .+$/gm, mappedFrame)
}

/** The stack of what a handler threw, without the functions of this package that had called it. */
export function withoutOwn(stack: string): string {
  const lines = stack.split('\n')
  const others = lines.filter((line) => !fileOf(line)?.startsWith(OWN))
  return others.some((line) => fileOf(line) !== undefined) ? others.join('\n') : stack
}

/** Whether the function that threw, or that called what threw in Node itself, is one of this package. */
export function isOwn(frames: string): boolean {
  for (const line of frames.split('\n')) {
    const file = fileOf(line)
    if (file !== undefined) return file.startsWith(OWN)
  }
  return false
}

function fileOf(line: string): string | undefined {
  return FRAME.exec(line)?.[2]
}

function mappedFrame(line: string): string {
  const [, before, file = '', row, column, after] = FRAME.exec(line) ?? []
  const found = file === '' ? null : mapOf(file)
  if (found === null) return isTransformed(file) ? `${before}${file}:${row}${after}` : line
  const at = found.map.findEntry(Number(row) - 1, Number(column) - 1)
  if (!('originalSource' in at) || !URL.canParse(at.originalSource, found.href)) return line
  const source = new URL(at.originalSource, found.href).href
  return `${before}${source}:${at.originalLine + 1}:${at.originalColumn + 1}${after}`
}

function mapOf(file: string): FileMap | null {
  if (forgetting === null) forgetting = setTimeout(forget, KEPT_MS).unref()
  else forgetting.refresh()
  let map = maps.get(file)
  if (map === undefined) {
    map = readMap(file)
    maps.set(file, map)
  }
  return map
}

function forget(): void {
  maps.clear()
  forgetting = null
}

/** Null where there is none, or none that can be read. */
function readMap(file: string): FileMap | null {
  try {
    const url = file.startsWith('file://') ? new URL(file) : pathToFileURL(file)
    url.search = ''
    const name = [...readFileSync(url, 'utf8').matchAll(MAPPING)].at(-1)?.[1]
    if (name === undefined) return null
    const { href } = new URL(name, url)
    const text = href.startsWith('data:') ? textOfData(href) : readFileSync(new URL(href), 'utf8')
    return { map: new SourceMap(JSON.parse(text)), href: href.startsWith('data:') ? url.href : href }
  } catch {
    return null
  }
}

function textOfData(href: string): string {
  const [head = '', body = ''] = href.split(',', 2)
  return head.endsWith(';base64') ? Buffer.from(body, 'base64').toString() : decodeURIComponent(body)
}
