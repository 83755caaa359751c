import module from 'node:module'

// What Node compiles is kept for the next start, from Node 22.8 on.
if ('enableCompileCache' in module && typeof module.enableCompileCache === 'function') {
  module.enableCompileCache()
}

// Only now, so that all that follows is kept.
await import('./process.ts')
