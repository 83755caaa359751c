/**
 * A WebSocket client that does next to nothing, so that thousands of them are not what is measured: it reads frames
 * and hands their payloads over, and sends short texts. It checks nothing and answers no ping frames.
 */
import { connect } from 'node:net'

/** Shared by all sockets: what it holds is handed on, or copied, before another one reads. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)
const HEAD_END = Buffer.from('\r\n\r\n')
const NO_BYTES = Buffer.alloc(0)
/** Masked, as a client's frames must be, by zeros. */
const MASK = Buffer.alloc(4)
const TEXT = 0x81
const MASKED = 0x80

export class ThinSocket {
  #socket
  #onText
  /** Bytes of a frame, or of the answer to the upgrade, that are not complete yet. */
  #rest = NO_BYTES
  #isOpen = false

  /**
   * @param {URL} url `http://…`
   * @param {(payload: Buffer, socket: ThinSocket) => void} onText the payload of a text frame; valid during the call
   * @param {(error?: Error) => void} onClose
   */
  constructor(url, onText, onClose) {
    this.#onText = onText
    this.#socket = connect({
      host: url.hostname,
      port: Number(url.port),
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          this.#read(readBuffer.subarray(0, length))
          return true
        },
      },
    })
    this.#socket.on('error', onClose)
    this.#socket.on('close', () => onClose())
    this.#socket.write(
      [
        `GET ${url.pathname}${url.search} HTTP/1.1`,
        `Host: ${url.host}`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
        '\r\n',
      ].join('\r\n'),
    )
  }

  send(text) {
    const payload = Buffer.from(text)
    const head =
      payload.length < 126
        ? Buffer.from([TEXT, MASKED | payload.length])
        : Buffer.from([TEXT, MASKED | 126, payload.length >> 8, payload.length & 0xff])
    this.#socket.write(Buffer.concat([head, MASK, payload]))
  }

  close() {
    this.#socket.destroy()
  }

  #read(chunk) {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    if (!this.#isOpen) {
      const end = bytes.indexOf(HEAD_END)
      if (end !== -1) {
        const status = bytes.latin1Slice(9, 12)
        if (status !== '101') throw new Error(`the upgrade was answered ${status}`)
        this.#isOpen = true
        bytes = bytes.subarray(end + HEAD_END.length)
      }
    }
    if (this.#isOpen) bytes = this.#readFrames(bytes)
    this.#rest = bytes.length === 0 ? NO_BYTES : Buffer.from(bytes)
  }

  /** Returns what is left. */
  #readFrames(bytes) {
    let at = 0
    while (bytes.length - at >= 2) {
      let start = at + 2
      let length = bytes[at + 1]
      if (length === 126) {
        if (bytes.length < at + 4) break
        start = at + 4
        length = bytes.readUInt16BE(at + 2)
      } else if (length === 127) {
        if (bytes.length < at + 10) break
        start = at + 10
        length = bytes.readUInt32BE(at + 6)
      }
      if (bytes.length < start + length) break
      if (bytes[at] === TEXT) this.#onText(bytes.subarray(start, start + length), this)
      at = start + length
    }
    return bytes.subarray(at)
  }
}
