import { GatewayInfo, WorkerInfo } from '../../shared/api.ts'
import type { Engine } from '../engine/engine.ts'

/** The live processes that share this store. What does not have the shape, as from a later version, is left out. */
export async function readPresences(
  engine: Engine,
): Promise<{ workers: WorkerInfo[]; gateways: GatewayInfo[] }> {
  const workers: WorkerInfo[] = []
  const gateways: GatewayInfo[] = []
  for (const { role, info } of await engine.presences()) {
    if (role === 'worker') {
      const worker = WorkerInfo.safeParse(info)
      if (worker.success) workers.push(worker.data)
    } else {
      const gateway = GatewayInfo.safeParse(info)
      if (gateway.success) gateways.push(gateway.data)
    }
  }
  return { workers, gateways }
}
