// Bundles dist/server: a few files to load instead of the hundreds that the server and its libraries are made of.
import { cpSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { build } from 'vite'

/** What is started, or imported by its address: these keep their places, and what they share becomes chunks. */
const ENTRIES = [
  'main',
  'index',
  'engine/open',
  'engine/redis/engine',
  'engine/sqlite/engine',
  'worker/isolate-thread',
  'jobs/render/thread',
]

/** They bring native code or threads of their own along, or are for terminals only; all others are bundled. */
const EXTERNAL = ['libsql', 'piscina', 'pino-pretty', 'sharp']

/** Scripts that the engine reads from the folder beside it. */
const LUA = join('engine', 'redis', 'lua')

/**
 * Keeps `import.meta.url` what it is in the sources, whichever chunk a module comes into, so that a module finds the
 * files beside it.
 */
const keepAddresses = {
  name: 'keep-addresses',
  transform(code, id) {
    const path = relative(resolve('server'), id).split(sep).join('/')
    if (path.startsWith('..') || !code.includes('import.meta.url')) return null
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

/** Asked for by prom-client to mark samples with traces, which it is not told to do. */
const UNUSED = ['@opentelemetry/api']

const leaveOut = {
  name: 'leave-out',
  enforce: 'pre',
  resolveId: (id) => (UNUSED.includes(id) ? `\0unused:${id}` : null),
  load: (id) => (id.startsWith('\0unused:') ? 'export default {}' : null),
}

await build({
  configFile: false,
  logLevel: 'warn',
  plugins: [leaveOut, keepAddresses],
  build: {
    ssr: true,
    target: 'node20',
    outDir: join('dist', 'server'),
    // The declarations are there already.
    emptyOutDir: false,
    copyPublicDir: false,
    // Half as much to read and compile at every start. With --enable-source-maps stack traces are those of the sources.
    minify: true,
    sourcemap: true,
    license: { fileName: 'THIRD-PARTY-LICENSES.md' },
    rolldownOptions: {
      input: Object.fromEntries(ENTRIES.map((entry) => [entry, join('server', `${entry}.ts`)])),
      output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name].js' },
    },
  },
  ssr: { noExternal: true, external: EXTERNAL },
})
cpSync(join('server', LUA), join('dist', 'server', LUA), { recursive: true })
