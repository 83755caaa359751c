import { connect } from 'node:net'
import { freePort } from './redis.mjs'

const PROBE = new URL('../contenders/memory-probe.mjs', import.meta.url).href

/**
 * Lets a process tell what it holds: `env` and `nodeArgs` are to be given to it, `heldBytes` asks. What is held is what
 * its JavaScript heap and the buffers outside it take after a full collection; what the kernel keeps is not in it.
 */
export async function memoryProbe() {
  const port = await freePort()
  return {
    env: { PROBE_PORT: port },
    nodeArgs: ['--expose-gc', '--import', PROBE],
    heldBytes: () =>
      new Promise((resolve, reject) => {
        let text = ''
        connect(port, '127.0.0.1')
          .on('data', (chunk) => {
            text += chunk
          })
          .on('end', () => resolve(Number(text)))
          .on('error', reject)
      }),
  }
}
