/**
 * Route handlers by which an app of Next.js lets its pages at Jobcast.
 *
 * @module
 */
export type { Access } from './access.ts'
export { createHandler, type HandlerOptions } from './handler.ts'
