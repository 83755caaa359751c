/** An event of a stream; its data as text. */
export interface StreamedEvent {
  readonly event: string | undefined
  readonly id: string | undefined
  readonly data: string
}

/**
 * Reads a stream of server-sent events (WHATWG HTML section 9.2.6) from the pieces of text that it comes in. An `id` is
 * told of its own event only. The byte order mark is the decoder's to drop.
 */
export function eventReader(
  onEvent: (event: StreamedEvent) => void,
  onRetry: (ms: number) => void,
): (text: string) => void {
  /** The line that has not ended yet. */
  let rest = ''
  let isAfterReturn = false
  let fields: { event?: string | undefined; id?: string } = {}
  let data: string[] = []

  const readLine = (line: string): void => {
    if (line === '') {
      if (data.length > 0) onEvent({ event: fields.event, id: fields.id, data: data.join('\n') })
      fields = {}
      data = []
      return
    }
    // One that begins with its colon is a comment.
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data') data.push(value)
    else if (name === 'event') fields.event = value === '' ? undefined : value
    else if (name === 'id' && !value.includes('\0')) fields.id = value
    else if (name === 'retry' && /^\d+$/.test(value)) onRetry(Number(value))
  }

  return (text) => {
    // A line may end in two characters, and a piece between them.
    const fresh = isAfterReturn && text[0] === '\n' ? text.slice(1) : text
    isAfterReturn = text === '' ? isAfterReturn : text.endsWith('\r')
    // Only what is new is searched: an event may come in hundreds of pieces.
    const lines = fresh.split(fresh.includes('\r') ? /\r\n|\r|\n/ : '\n')
    lines[0] = rest + lines[0]
    rest = lines.pop() ?? ''
    for (const line of lines) readLine(line)
  }
}
