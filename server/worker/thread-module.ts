const SOURCES = new URL('../../', import.meta.url)

/**
 * Address of a module that a worker thread loads, from `import.meta.url` of the module beside it; `path` ends in
 * `.js`. Threads of Node 20 run no TypeScript, so that from the sources it is the built module under `dist`.
 */
export function threadModule(path: string, from: string): URL {
  const url = new URL(path, from)
  if (!from.endsWith('.ts')) return url
  return new URL(`dist/${url.href.slice(SOURCES.href.length)}`, SOURCES)
}
