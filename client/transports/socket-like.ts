/** What is used of a WebSocket; the browser's own and the one of `ws` both have it. */
export interface SocketLike {
  send(data: string): void
  close(code?: number): void
  onopen: unknown
  onmessage: unknown
  onclose: unknown
  onerror: unknown
}

export type SocketConstructor = new (url: string) => SocketLike
