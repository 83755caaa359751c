// `npm start`: builds what is out of date, then becomes the server (one process, so that signals reach it), with the
// types of examples/samples/ where no others are named.
import './build.mjs'

process.env.JOBCAST_JOBS ??= 'dist/examples/samples/index.js'

await import('../dist/server/main.js')
