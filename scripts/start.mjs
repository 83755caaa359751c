// `npm start`: builds what is out of date, then becomes the server (one process, so that signals reach it).
import './build.mjs'

await import('../dist/server/main.js')
