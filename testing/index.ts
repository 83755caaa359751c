/**
 * Runs jobs in tests: the real server, in memory, by a clock of its own.
 *
 * @module
 */
export { JobcastError } from '../client/errors.ts'
export type { TestClock } from './clock.ts'
export { type Reported, type TestContext, type TestContextOptions, testContext } from './context.ts'
export { type RunOptions, type TestJobs, type TestOptions, type TestRun, testJobs } from './test-jobs.ts'
