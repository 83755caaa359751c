import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/helpers/longest-first.ts'

/** They count timers on a clock of their own: what an earlier file left behind in their process would be among them. */
const WITH_A_CLOCK = ['test/unit/client-*.test.ts', 'test/unit/worker-prefetch.test.ts']

/** The web page (`vite build`) and the tests (`vitest`). */
export default defineConfig({
  root: 'client/dashboard',
  // Wherever a proxy puts the page: the server says in its index from where on.
  base: './',
  plugins: [react()],
  // Examples import this package by its name.
  resolve: {
    alias: [{ find: /^jobcast$/, replacement: fileURLToPath(new URL('server/index.ts', import.meta.url)) }],
  },
  build: {
    outDir: '../../dist/page',
    emptyOutDir: true,
    chunkSizeWarningLimit: 900,
    license: { fileName: 'THIRD-PARTY-LICENSES.md' },
  },
  server: {
    proxy: {
      // The page's own host must get through: the server compares it with the origin.
      '/api': { target: 'http://127.0.0.1:3000', changeOrigin: false },
      '/ws': { target: 'ws://127.0.0.1:3000', ws: true },
    },
  },
  test: {
    root: '.',
    // They only end what hangs: how long something takes beside other work says nothing.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'clock',
          include: WITH_A_CLOCK,
          maxWorkers: 4,
        },
      },
      {
        extends: true,
        test: {
          name: 'tests',
          include: ['test/**/*.test.ts'],
          exclude: ['test/fault/**', 'test/package/**', ...WITH_A_CLOCK],
          // Most of them wait rather than compute, so that four files at once keep two cores busy.
          maxWorkers: 4,
          // A process of its own for each file would cost more than most files do.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: ['test/fault/**/*.test.ts'],
          // They mostly wait, so that twelve at once are no burden; alone, since they starve others for moments.
          maxWorkers: process.env.JOBCAST_SOAK ? 4 : 3,
          maxConcurrency: 4,
          isolate: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
