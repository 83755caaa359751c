/** Kinds of RESP values that are one line, that are a length and that many bytes, and that hold other values. */
const LINES = '+-:_#,('
const BULKS = '$=!'
const VALUES_A_COUNT: Readonly<Record<string, number>> = { '*': 1, '~': 1, '>': 1, '%': 2 }

/**
 * Cuts a stream of the Redis protocol (RESP 2 and 3, either direction) into whole values, as they were sent: for
 * proxies that lose, repeat or delay one of them.
 */
export class RespSplitter {
  #pieces: Buffer[] = []
  #bytes = 0
  /** With fewer no value can be complete: a large one is put together once, not with every piece of it. */
  #needed = 0

  /** The values that are complete with this piece of the stream. */
  push(piece: Buffer): Buffer[] {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    if (this.#bytes < this.#needed) return []
    let rest = Buffer.concat(this.#pieces)
    const values: Buffer[] = []
    for (;;) {
      const lack = { needed: 0 }
      const end = endOf(rest, 0, lack)
      if (end === null) {
        this.#pieces = [rest]
        this.#bytes = rest.length
        this.#needed = lack.needed
        return values
      }
      values.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
  }
}

/** Where the value that begins here ends; null where it is not complete, with the bytes that it needs as far as that is known. */
function endOf(data: Buffer, start: number, lack = { needed: 0 }): number | null {
  const lineEnd = data.indexOf('\r\n', start)
  if (lineEnd === -1) return null
  const kind = String.fromCharCode(data[start] ?? 0)
  const after = lineEnd + 2
  if (LINES.includes(kind)) return after
  const count = Number(data.toString('latin1', start + 1, lineEnd))
  if (BULKS.includes(kind)) {
    const end = count < 0 ? after : after + count + 2
    if (end <= data.length) return end
    lack.needed = end
    return null
  }
  const perCount = VALUES_A_COUNT[kind]
  if (perCount === undefined) throw new Error(`no RESP value begins with ${JSON.stringify(kind)}`)
  let end = after
  for (let value = 0; value < count * perCount; value += 1) {
    const next = endOf(data, end, lack)
    if (next === null) return null
    end = next
  }
  return end
}

/** The strings directly in an array or push: the words of a command, or of a published message. */
export function wordsOf(value: Buffer): string[] {
  const kind = String.fromCharCode(value[0] ?? 0)
  if (kind !== '*' && kind !== '>') return []
  const words: string[] = []
  for (let at = value.indexOf('\r\n') + 2; at < value.length; ) {
    const end = endOf(value, at)
    if (end === null) return words
    const body = value.indexOf('\r\n', at) + 2
    words.push(
      BULKS.includes(String.fromCharCode(value[at] ?? 0)) ? value.toString('utf8', body, end - 2) : '',
    )
    at = end
  }
  return words
}
