declare module 'compression' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export default function compression(options: {
    /** Answers of fewer bytes are left as they are. */
    threshold: number
  }): (incoming: IncomingMessage, answer: ServerResponse, next: () => void) => void
}
