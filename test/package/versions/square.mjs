import { isMainThread } from 'node:worker_threads'

export function run({ n }) {
  return { square: n * n, isMainThread, node: process.version }
}
