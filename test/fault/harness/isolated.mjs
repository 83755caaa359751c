// What the type `isolated` runs in its thread.
export { misbehave as run } from './misbehaviour.mjs'
