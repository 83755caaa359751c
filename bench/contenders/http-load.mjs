/**
 * Sends one request again and again over keep-alive connections, each of which waits for its answer before it asks
 * again. It writes the request as bytes made beforehand and reads of an answer only its status and length, so that it
 * costs a fraction of what a server does.
 */
import { connect } from 'node:net'
import { serve } from '../harness/serve.mjs'

const END_OF_HEAD = Buffer.from('\r\n\r\n')

serve({
  /** Requests that were answered, the ms that it took, and the CPU that sending them took here. */
  async load({ port, path, body, status, connections, ms }) {
    const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`
    const request = Buffer.from(head + body)
    const count = { answers: 0, going: true }
    const started = performance.now()
    const cpu = process.cpuUsage()
    const timer = setTimeout(() => {
      count.going = false
    }, ms)
    try {
      await Promise.all(Array.from({ length: connections }, () => ask(port, request, status, count)))
    } finally {
      count.going = false
      clearTimeout(timer)
    }
    const { user, system } = process.cpuUsage(cpu)
    return { answers: count.answers, ms: performance.now() - started, cpuMs: (user + system) / 1000 }
  },
})

/** One connection, until the load is to end and its last answer has come. */
function ask(port, request, status, count) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1').setNoDelay(true)
    const expected = `HTTP/1.1 ${status} `
    let head = null
    /** Of the answer that is being read, bytes that have not come yet; null before its head is whole. */
    let left = null
    socket.on('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      if (left === null) {
        const read = head === null ? chunk : Buffer.concat([head, chunk])
        const end = read.indexOf(END_OF_HEAD)
        if (end < 0) {
          head = read
          return
        }
        head = null
        const text = read.latin1Slice(0, end)
        const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
        if (!text.startsWith(expected) || length === undefined) {
          socket.destroy(new Error(`unexpected answer: ${read.toString().slice(0, 500)}`))
          return
        }
        left = Number(length) - (read.length - end - END_OF_HEAD.length)
      } else {
        left -= chunk.length
      }
      if (left > 0) return
      left = null
      count.answers++
      if (count.going) socket.write(request)
      else socket.end()
    })
    socket.on('error', reject)
    socket.on('close', () => (count.going ? reject(new Error('the server ended a connection')) : resolve()))
  })
}
