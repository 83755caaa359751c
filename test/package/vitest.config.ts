import { defineConfig } from 'vitest/config'

/**
 * The examples, each installed from the packed package as its user has it. Apart from the other tests, since they ask the
 * registry for what examples depend on: `npm run test:package`, with the names of some for a part.
 */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/package/*.test.ts'],
    globalSetup: ['test/package/harness/pack.ts'],
    // They only end what hangs.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Installing and building keep the processors busy by themselves.
    maxWorkers: 2,
  },
})
