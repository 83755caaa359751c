-- Wakes the worker of the pool that has been idle longest and has room for this type. Its entry names the types that
-- it has no room for (lib/pools.lua).
local function wake(pool, type)
  local MOST_IDLE_LOOKED_AT = 32
  local call = redis.call
  local idle = KEYS[1] .. 'idle:' .. pool
  local entries = call('ZRANGE', idle, 0, MOST_IDLE_LOOKED_AT - 1)
  for _, entry in ipairs(entries) do
    if not string.find(entry, ' ' .. type .. ' ', 1, true) then
      call('ZREM', idle, entry)
      local worker = string.match(entry, '^%S+')
      -- Nobody hears it where the worker has died: then the next one is asked. What may not be published got lost.
      if redis.pcall('PUBLISH', KEYS[1] .. 'worker:' .. worker, 'wake') ~= 0 then return true end
    end
  end
  if #entries == 0 then call('SREM', KEYS[1] .. 'waiting', pool) end
  return false
end
