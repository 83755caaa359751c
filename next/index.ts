export type { Access } from './access.ts'
export { createHandler, type HandlerOptions } from './handler.ts'
