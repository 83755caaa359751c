// Holds the architecture: who may import what. Prints every breach and fails where there is one.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/**
 * Modules of the project that files under `of` may import at run time or as types, `of` itself always, but what it `mayNot`;
 * the first that names a file's folder counts.
 */
const LAYERS = [
  { of: 'shared/', may: [] },
  { of: 'client/dashboard/', may: ['client/', 'shared/'] },
  { of: 'client/react/', may: ['client/', 'shared/'] },
  { of: 'client/vue/', may: ['client/', 'shared/'] },
  { of: 'client/', may: ['shared/'] },
  { of: 'next/', may: ['shared/'] },
  { of: 'server/engine/', may: ['shared/'] },
  { of: 'server/auth/', may: ['shared/'] },
  { of: 'server/jobs/', may: ['shared/', 'server/engine/engine.ts', 'server/engine/errors.ts'] },
  // Written as a user's own are: against `jobcast`.
  { of: 'examples/samples/', may: [] },
  {
    of: 'server/worker/',
    may: ['shared/', 'server/jobs/', 'server/events.ts', 'server/thrown.ts', ...engineContract()],
  },
  { of: 'server/maintenance/', may: ['shared/', 'server/events.ts', ...engineContract()] },
  {
    of: 'server/gateway/transports/',
    may: ['shared/', 'server/auth/', 'server/events.ts', 'server/gateway/', ...engineContract()],
  },
  {
    of: 'server/gateway/',
    may: ['shared/', 'server/auth/', 'server/events.ts', ...engineContract()],
    // What is the same for all transports knows no socket.
    mayNot: ['server/gateway/transports/', 'node:http', 'node:net', 'node:stream'],
  },
  {
    of: 'server/http/',
    may: [
      'shared/',
      'server/auth/',
      'server/jobs/',
      'server/gateway/',
      'server/events.ts',
      'server/metrics.ts',
      ...engineContract(),
    ],
  },
]

function engineContract() {
  return ['engine', 'errors', 'two-calls', 'job/ids', 'job/events'].map((name) => `server/engine/${name}.ts`)
}

/** The only folders that import a library. */
const OWNERS = {
  ioredis: ['server/engine/redis/'],
  libsql: ['server/engine/sqlite/'],
  ws: ['server/gateway/transports/websocket/'],
  hono: ['server/http/'],
  '@hono/node-server': ['server/http/'],
  'prom-client': ['server/metrics.ts'],
  pino: ['server/log.ts'],
  sharp: ['examples/samples/'],
  jose: ['server/auth/'],
  jiti: ['server/jobs/module.ts'],
  commander: ['cli/'],
  chokidar: ['cli/'],
  'log-update': ['cli/'],
  picocolors: ['cli/'],
  'string-width': ['cli/'],
  'slice-ansi': ['cli/'],
  react: ['client/react/', 'client/dashboard/'],
  vue: ['client/vue/'],
  'react-dom': ['client/dashboard/'],
}

/** Shared modules that the browser, or an app's build, may bundle; the rest of `shared/` brings zod along, so only its types. */
const BUNDLED = ['close-codes', 'codes', 'cursor', 'status', 'fold', 'limits'].map(
  (name) => `shared/${name}.ts`,
)

/** The server's settings, and where the command finds a server; the last has code for others. */
const READ_ENVIRONMENT = ['server/config.ts', 'cli/environment.ts', 'cli/snippets.ts']

/** Every run of an isolated handler begins a thread with it: a library would cost each more than the thread itself. */
const THREAD = 'server/worker/isolate-thread.ts'

const breaches = []
const graph = new Map()
const libraries = new Map()

for (const file of ['shared', 'client', 'next', 'testing', 'cli', 'server', 'examples/samples'].flatMap(
  sources,
)) {
  const imports = importsOf(file)
  graph.set(
    file,
    imports.filter((one) => !one.typeOnly && one.path).map((one) => one.path),
  )
  libraries.set(
    file,
    imports.filter((one) => !one.typeOnly && !one.isLate && !one.path && !one.specifier.startsWith('node:')),
  )
  for (const one of imports) check(file, one)
  if (!READ_ENVIRONMENT.includes(file) && /\bprocess\.env\b/.test(readFileSync(join(root, file), 'utf8'))) {
    breaches.push(`${file}: only ${READ_ENVIRONMENT.join(' and ')} read process.env`)
  }
}
for (const file of reachableFrom(THREAD)) {
  for (const { specifier } of libraries.get(file) ?? [])
    breaches.push(`${file}: is loaded by every thread and may not bring ${specifier} along`)
}
for (const cycle of cycles()) breaches.push(`cycle: ${cycle.join(' -> ')}`)

for (const breach of breaches) process.stderr.write(`${breach}\n`)
if (breaches.length > 0) process.exit(1)
process.stdout.write(`import rules hold in ${graph.size} files\n`)

function check(file, { specifier, path, typeOnly }) {
  const layer = LAYERS.find(({ of }) => file.startsWith(of))
  if (layer?.mayNot?.some((one) => (path ?? specifier).startsWith(one))) {
    breaches.push(`${file}: may not import ${path ?? specifier}`)
  }
  if (path === null) return checkLibrary(file, specifier)
  if (layer && !path.startsWith(layer.of) && !layer.may.some((allowed) => path.startsWith(allowed))) {
    breaches.push(`${file}: may not import ${path}`)
  }
  const isBundled = /^(?:client|next)\//.test(file) && !file.startsWith('client/dashboard/')
  if (isBundled && path.startsWith('shared/')) {
    if (!typeOnly && !BUNDLED.includes(path)) breaches.push(`${file}: may import only types of ${path}`)
  }
  if (file.startsWith('shared/') && BUNDLED.includes(file) && !typeOnly && !BUNDLED.includes(path)) {
    breaches.push(`${file}: is bundled for browsers and may not bring ${path} along`)
  }
}

function checkLibrary(file, specifier) {
  const library = specifier.startsWith('@')
    ? specifier.split('/').slice(0, 2).join('/')
    : specifier.split('/')[0]
  if (file.startsWith('shared/') && library !== 'zod')
    breaches.push(`${file}: shared/ imports zod only, not ${specifier}`)
  // A handler runs wherever an app does: on the edge, too.
  if (/^(?:client|next)\//.test(file) && specifier.startsWith('node:'))
    breaches.push(`${file}: ${dirname(file)}/ imports no ${specifier}`)
  const owners = OWNERS[library]
  if (owners && !owners.some((owner) => file.startsWith(owner))) {
    breaches.push(`${file}: ${library} belongs to ${owners.join(', ')}`)
  }
}

function sources(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return sources(path)
    return /\.tsx?$/.test(entry.name) ? [path] : []
  })
}

function importsOf(file) {
  const text = readFileSync(join(root, file), 'utf8')
  const pattern =
    /^\s*(?:import|export)\s+(type\s+)?([^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm
  return [...text.matchAll(pattern)].map((match) => {
    const specifier = match[3] ?? match[4]
    const names = match[2] ?? ''
    const braces = /\{([^}]*)\}/.exec(names)
    const onlyTypes =
      braces !== null &&
      !/^\s*\w+\s*,/.test(names) &&
      braces[1].split(',').every((name) => /^\s*(type\s|$)/.test(name))
    const path = specifier.startsWith('.')
      ? relative(root, normalize(join(root, dirname(file), specifier)))
      : null
    return { specifier, path, typeOnly: match[1] !== undefined || onlyTypes, isLate: match[4] !== undefined }
  })
}

function reachableFrom(file, seen = new Set()) {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const next of graph.get(file) ?? []) reachableFrom(next, seen)
  return seen
}

function cycles() {
  const found = []
  const state = new Map()
  const visit = (file, trail) => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      found.push([...trail.slice(trail.indexOf(file)), file])
      return
    }
    state.set(file, 'open')
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file])
    state.set(file, 'done')
  }
  for (const file of graph.keys()) visit(file, [])
  return found
}
