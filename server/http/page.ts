import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { gzipSync } from 'node:zlib'
import { getMimeType } from 'hono/utils/mime'
import type { Reach } from '../auth/reach.ts'
import { Answer } from './answer.ts'
import type { Arrival } from './arrival.ts'
import { matchesEtag } from './headers.ts'

interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>
  /** Null where compressing saves nothing. */
  readonly gzipped: Uint8Array<ArrayBuffer> | null
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
}

/** Mantine writes style elements; results are shown as `data:` and uploads as `blob:` images. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "img-src 'self' data: blob:",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  // Same-origin WebSockets are 'self' too.
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const SECURITY_HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
} as const

const NOT_BUILT = `Jobcast is running, but its web page is not built: run "npm run build" and start it again.
The API is described at /openapi.json.
`

/**
 * Serves the built web page from memory: it is small, and a path that comes from outside is looked up in a map
 * and never reaches the file system. A file is read and compressed when it is first asked for, so that a start waits
 * for none of them. Navigations to addresses of the page's own router get its index.
 */
export function loadPage(folder: string | null, reach: Reach): (arrival: Arrival) => Response | null {
  if (folder === null) return ({ method, place }) => (reads(method) && place.path === '/' ? notBuilt() : null)
  const files = listFolder(folder)
  const index = files.get('/index.html')
  return (arrival) => {
    const { method, headers, place } = arrival
    const { path } = place
    if (!reads(method)) return null
    const file = path === '/' || path === '/index.html' ? undefined : files.get(path)
    if (file !== undefined) return show(file(), headers)
    const isIndex = path === '/' || path === '/index.html' || isNavigation(path, headers.accept)
    if (index === undefined || !isIndex) return null
    return show(indexBelow(rootFrom(path, reach.prefix(arrival)), index()), headers)
  }
}

/**
 * Where the page begins, for a browser that is at this path of it. Where nobody said what stands before the path, as far
 * up as it is deep: so it holds whatever a proxy took off without a word.
 */
function rootFrom(path: string, prefix: string): string {
  if (prefix !== '') return `${prefix}/`
  return '../'.repeat(path.split('/').length - 2) || './'
}

/** The build has every address of the index relative to its own; the digest in its tag is that of what is sent. */
function indexBelow(root: string, index: PageFile): PageFile {
  if (root === './') return index
  const html = Buffer.from(index.body).toString().replaceAll('="./', `="${root}`)
  return pageFile(new Uint8Array(Buffer.from(html)), index.headers)
}

function notBuilt(): Response {
  return new Answer(NOT_BUILT, {
    headers: { ...SECURITY_HEADERS, 'content-type': 'text/plain; charset=utf-8' },
  })
}

function reads(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** Addresses that a router of a page has; none that climb, hide a separator, or belong to the API. */
function isNavigation(path: string, accept: string | undefined): boolean {
  const odd = /\\|\/\/|\/\.|%2f|%5c|%2e|%00/i.test(path) || !path.startsWith('/')
  const elsewhere = /^\/(?:api|ws|assets)(?:\/|$)/.test(path)
  return !odd && !elsewhere && (accept?.includes('text/html') ?? false)
}

function show(file: PageFile, headers: Arrival['headers']): Response {
  const wanted = headers['if-none-match']
  if (wanted !== undefined && matchesEtag(wanted, file.etag)) {
    return new Answer(null, { status: 304, headers: file.headers })
  }
  if (file.gzipped !== null && /\bgzip\b/.test(headers['accept-encoding'] ?? '')) {
    return new Answer(file.gzipped, { headers: { ...file.headers, 'content-encoding': 'gzip' } })
  }
  return new Answer(file.body, { headers: file.headers })
}

/** By path: what reads the file the first time and has it the next. */
function listFolder(folder: string): Map<string, () => PageFile> {
  const files = new Map<string, () => PageFile>()
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    let file: PageFile | undefined
    files.set(`/${relative(folder, path).split(sep).join('/')}`, () => {
      file ??= readFile(path)
      return file
    })
  }
  return files
}

function readFile(path: string): PageFile {
  const hashed = path.includes(`${sep}assets${sep}`)
  return pageFile(new Uint8Array(readFileSync(path)), {
    ...SECURITY_HEADERS,
    'content-type': getMimeType(path) ?? 'application/octet-stream',
    // The build puts a digest of the content into the names of its assets.
    'cache-control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    vary: 'Accept-Encoding',
  })
}

function pageFile(body: Uint8Array<ArrayBuffer>, headers: Readonly<Record<string, string>>): PageFile {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  const isText = /^text\/|javascript|json|svg/.test(headers['content-type'] ?? '')
  const gzipped = isText ? new Uint8Array(gzipSync(body)) : null
  return {
    body,
    gzipped: gzipped !== null && gzipped.length < body.length ? gzipped : null,
    etag,
    headers: { ...headers, etag },
  }
}
