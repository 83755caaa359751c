// Bundles dist/server, dist/testing, dist/examples and dist/cli: a few files to load instead of the hundreds that they and their libraries are made of.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'vite'

/** What is started, or imported by its address: these keep their places, and what they share becomes chunks. */
const ENTRIES = [
  'server/main',
  'server/index',
  'server/engine/open',
  'server/engine/redis/engine',
  'server/engine/sqlite/engine',
  'server/worker/isolate-thread',
  'testing/index',
  'examples/samples/index',
  'examples/samples/render/thread',
  'cli/dev-server',
]

/** Loads of it only what a command needs, and none of the server: it starts for every call. */
const COMMAND = 'cli/main'

/** They bring native code along, are for terminals only, or load files beside them; all others are bundled. */
const EXTERNAL = ['jiti', 'libsql']

/** Reads the Lua scripts beside it, a file each; bundled, it has their texts. */
const SCRIPTS = join('server', 'engine', 'redis', 'scripts.ts')
const READING = /readFileSync\(new URL\((`[^`]+`), import\.meta\.url\), 'utf8'\)/g

const inlineScripts = {
  name: 'inline-scripts',
  enforce: 'pre',
  transform(code, id) {
    if (relative('.', id) !== SCRIPTS) return null
    const folder = dirname(id)
    const files = readdirSync(join(folder, 'lua'), { recursive: true }).filter((file) =>
      file.endsWith('.lua'),
    )
    const texts = files.map((file) => {
      const path = `./${join('lua', file).split(sep).join('/')}`
      return [path, readFileSync(join(folder, path), 'utf8')]
    })
    const inlined = code.replaceAll(READING, 'LUA[$1]')
    if (inlined === code)
      throw new Error(`${SCRIPTS} reads its scripts in a way that bundle.mjs does not know`)
    return { code: `const LUA = ${JSON.stringify(Object.fromEntries(texts))};${inlined}`, map: null }
  },
}

/**
 * Keeps `import.meta.url` what it is in the sources, whichever chunk a module comes into, so that a module finds the
 * files beside it.
 */
const keepAddresses = {
  name: 'keep-addresses',
  transform(code, id) {
    const path = relative('.', id).split(sep).join('/')
    if (path.startsWith('node_modules/') || !code.includes('import.meta.url')) return null
    const address = `__addressOf("${path.replace(/\.ts$/, '.js')}")`
    return { code: code.replaceAll('import.meta.url', address), map: null }
  },
  renderChunk(code, { fileName }) {
    const withAddresses = code.replaceAll(/__addressOf\([`'"]([^`'"]+)[`'"]\)/g, (_call, path) => {
      const fromChunk = relative(dirname(fileName), path).split(sep).join('/')
      return `new URL("${fromChunk}", import.meta.url).href`
    })
    return { code: withAddresses, map: null }
  },
}

/** What libraries load for what they are not asked to do here, and what they find in its place. */
const UNUSED = [
  // Marking samples with traces.
  { id: '@opentelemetry/api', by: 'prom-client', instead: 'export default {}' },
  // Talking to a cluster.
  { id: './cluster', by: 'ioredis', instead: 'export default {}' },
  // Telling requests over HTTP/2 from others.
  {
    id: 'node:http2',
    by: '@hono/node-server',
    instead: 'export class Http2ServerRequest {}\nexport const constants = {}',
  },
]

const leaveOut = {
  name: 'leave-out',
  enforce: 'pre',
  resolveId(id, importer = '') {
    const from = importer.split(sep).join('/')
    const at = UNUSED.findIndex((one) => one.id === id && from.includes(`/node_modules/${one.by}/`))
    return at < 0 ? null : `\0unused:${at}`
  },
  load: (id) => (id.startsWith('\0unused:') ? UNUSED[id.slice('\0unused:'.length)].instead : null),
}

/**
 * Maps tell where in the sources something is, and bring no sources along: those would be a third of all that is installed. Their
 * texts are empty, not missing, so that nobody looks for the files.
 */
const emptySources = {
  name: 'empty-sources',
  generateBundle(_options, files) {
    for (const file of Object.values(files)) {
      if (!file.fileName.endsWith('.map')) continue
      const map = JSON.parse(file.source)
      file.source = JSON.stringify({ ...map, sourcesContent: map.sources.map(() => '') })
    }
  },
}

/** Every thread of an isolated handler begins with these modules, so they come into a file without the rest. */
const threadModules = new Set()
/** These come with every `import … from 'jobcast'`; the server itself is loaded once it is started. */
const indexModules = new Set()

const findModules = {
  name: 'find-modules',
  buildEnd() {
    const add = (modules, id) => {
      if (modules.has(id)) return
      modules.add(id)
      for (const imported of this.getModuleInfo(id)?.importedIds ?? []) add(modules, imported)
    }
    add(threadModules, resolve('server', 'worker', 'isolate-thread.ts'))
    add(indexModules, resolve('server', 'index.ts'))
  },
}

await bundle(ENTRIES, 'server', {
  plugins: [leaveOut, inlineScripts, keepAddresses, findModules, emptySources],
  // Stacks in the log are told by the maps.
  sourcemap: true,
  // What else entries have in common comes into one file: each costs a start more to find than to read.
  groups: [
    { name: 'thread', minShareCount: 2, priority: 2, test: (id) => threadModules.has(id) },
    { name: 'index', minShareCount: 2, priority: 1, test: (id) => indexModules.has(id) },
    { name: 'shared', minShareCount: 2 },
  ],
})
await bundle([COMMAND], 'cli', { plugins: [keepAddresses] })
await leaveToNode()

/**
 * What the build of an app (Next, webpack) finds as `jobcast`, for a server within the app. It could not pack a server, whose
 * threads and jobs files are loaded by their addresses: Node loads it from where it is installed. Were the whole package left
 * there, as by `serverExternalPackages` of Next, `jobcast/react` would have another React than the app.
 */
async function leaveToNode() {
  const names = Object.keys(await import(pathToFileURL(resolve('dist', 'server', 'index.js')).href))
  const server = "await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ 'jobcast')"
  writeFileSync(join('dist', 'server', 'in-builds.js'), `export const { ${names.join(', ')} } = ${server}\n`)
}

function bundle(entries, folder, { plugins, sourcemap = false, groups = [] }) {
  return build({
    configFile: false,
    logLevel: 'warn',
    // What examples import is this package itself.
    resolve: { alias: { jobcast: resolve('server', 'index.ts') } },
    plugins,
    build: {
      ssr: true,
      target: 'node20',
      outDir: 'dist',
      // The declarations are there already.
      emptyOutDir: false,
      copyPublicDir: false,
      // Half as much to read and compile at every start.
      minify: true,
      sourcemap,
      license: { fileName: `${folder}/THIRD-PARTY-LICENSES.md` },
      rolldownOptions: {
        input: Object.fromEntries(entries.map((entry) => [entry, `${entry}.ts`])),
        output: {
          entryFileNames: '[name].js',
          chunkFileNames: `${folder}/chunks/[name].js`,
          codeSplitting: { groups },
        },
      },
    },
    ssr: { noExternal: true, external: EXTERNAL },
  })
}
