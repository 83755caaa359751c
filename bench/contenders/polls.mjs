/** Thousands of held long-polls in a process of its own, each on a connection of its own. */
import { connect } from 'node:net'
import { serve } from '../harness/serve.mjs'

const OPENING = 200

let answered = 0
let refused = 0
let sockets = []

serve({
  /** Asks for these addresses, all of one server; resolves when every question is on its way. */
  async ask(url, paths) {
    const { hostname, port, host } = new URL(url)
    answered = 0
    refused = 0
    for (let first = 0; first < paths.length; first += OPENING) {
      await Promise.all(
        paths.slice(first, first + OPENING).map(
          (path) =>
            new Promise((resolve) => {
              const socket = connect(Number(port), hostname)
              sockets.push(socket)
              socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, resolve)
              socket.once('data', (chunk) => {
                answered++
                if (!chunk.toString('latin1').startsWith('HTTP/1.1 200')) refused++
              })
            }),
        ),
      )
    }
  },
  answers: () => ({ answered, refused }),
  close() {
    for (const socket of sockets) socket.destroy()
    sockets = []
  },
})
