import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { until } from './until.ts'

export interface StreamEvent {
  /** Only on events that have one of their own. */
  readonly id?: string
  readonly event: string
  readonly data: unknown
}

/** Reads server-sent events as a client does, and remembers them. */
export class StreamReader {
  readonly events: StreamEvent[] = []
  /** Data of the `place` events, which are in no order with the others but that none follows a claim. */
  readonly places: unknown[] = []
  retryMs: number | null = null
  /** Resolves when the stream closes; rejects when it breaks. */
  readonly ended: Promise<void>
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader()
    this.ended = this.#read()
    this.ended.catch(() => {})
  }

  first(): Promise<StreamEvent> {
    return until(() => this.events[0], { what: 'a first event' })
  }

  /** Waits until there are `count` events of a kind, and resolves to the last of these. */
  next(event: string, count = 1): Promise<StreamEvent> {
    return until(() => this.events.filter((one) => one.event === event)[count - 1], {
      what: `event ${count} called ${event}`,
    })
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel()
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder()
    const parser = createParser({
      onEvent: (message) => {
        const event = toEvent(message)
        if (event.event === 'place') this.places.push(event.data)
        else this.events.push(event)
      },
      onRetry: (retryMs) => {
        this.retryMs = retryMs
      },
    })
    for (;;) {
      const { done, value } = await this.#reader.read()
      if (done) return
      parser.feed(decoder.decode(value, { stream: true }))
    }
  }
}

function toEvent({ id, event, data }: EventSourceMessage): StreamEvent {
  return { ...(id !== undefined && { id }), event: event ?? 'message', data: JSON.parse(data) }
}
