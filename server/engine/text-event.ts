import type { JobEvent } from '../../shared/event.ts'

type ReportedKind = 'progress' | 'log' | 'chunk'
type DataOf<Kind extends ReportedKind> = Extract<JobEvent, { kind: Kind }>['data']

/**
 * What a run reports, its data still the JSON that it is stored as. Nearly always it passes a gateway as text: it is
 * parsed for whoever asks, anew each time.
 */
export class TextEvent<Kind extends ReportedKind = ReportedKind> {
  readonly seq: number
  readonly at: string
  readonly kind: Kind
  readonly #data: string

  constructor(seq: number, at: string, kind: Kind, data: string) {
    this.seq = seq
    this.at = at
    this.kind = kind
    this.#data = data
  }

  get data(): DataOf<Kind> {
    return JSON.parse(this.#data)
  }

  toJSON(): { seq: number; at: string; kind: Kind; data: DataOf<Kind> } {
    const { seq, at, kind, data } = this
    return { seq, at, kind, data }
  }

  /** The same as `JSON.stringify` of it. */
  toText(): string {
    return `{"seq":${this.seq},"at":"${this.at}","kind":"${this.kind}","data":${this.#data}}`
  }
}
