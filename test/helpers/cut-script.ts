import { createHash } from 'node:crypto'
import type { Script } from '../../server/engine/redis/scripts.ts'

/** Commands of the scripts that change something or tell somebody. */
const WRITES = [
  ...['DEL', 'HDEL', 'HINCRBY', 'HSET', 'HSETNX', 'LPOP', 'PUBLISH', 'RPUSH', 'SADD', 'SET', 'SREM'],
  ...['ZADD', 'ZPOPMIN', 'ZREM', 'ZREMRANGEBYRANK'],
]

/**
 * Makes a script come to no end: behind so many of its writes every further one fails, and each command after that. Returns
 * what makes it whole again.
 */
export function cutShort(script: Script, writes: number): () => void {
  const { source, sha } = script
  const names = WRITES.map((name) => `${name} = true`).join(', ')
  const cut = `local redis = (function(real)
    local writes, left, is_cut = { ${names} }, ${writes}, false
    local function may(name)
      if writes[name] then
        is_cut = is_cut or left == 0
        left = left - 1
      end
      return not is_cut
    end
    return {
      call = function(name, ...)
        if not may(name) then error('cut short before ' .. name) end
        return real.call(name, ...)
      end,
      pcall = function(name, ...)
        if not may(name) then return { err = 'cut short before ' .. name } end
        return real.pcall(name, ...)
      end,
    }
  end)(redis)
  ${source}`
  Object.assign(script, { source: cut, sha: createHash('sha1').update(cut).digest('hex') })
  return () => Object.assign(script, { source, sha })
}
