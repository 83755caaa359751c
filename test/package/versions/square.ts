import { isMainThread } from 'node:worker_threads'

interface Payload {
  readonly n: number
}

export function run({ n }: Payload) {
  return { square: n * n, isMainThread, node: process.version }
}
