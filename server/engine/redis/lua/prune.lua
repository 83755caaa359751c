-- Forgets terminal jobs past their time, and pools of workers that nobody has claimed for lately. (Idempotency records
-- go by themselves.)
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply pruned
-- Events none; publishes `gone expired`
--@include base
--@include counts
--@include forget
local POOL_LIFE_MS = 600000
local limit = tonumber(argument())
local pruned = 0
for _, id in ipairs(call('ZRANGEBYSCORE', prefix .. 'expiring', '-inf', now_text, 'LIMIT', 0, limit)) do
  forget(id, 'expired')
  pruned = pruned + 1
end
store_counts()

for _, pool in ipairs(call('ZRANGEBYSCORE', prefix .. 'pools', '-inf', now - POOL_LIFE_MS)) do
  for _, type in ipairs(call('SMEMBERS', prefix .. 'pool:' .. pool)) do
    call('SREM', prefix .. 'pools:' .. type, pool)
  end
  call('DEL', prefix .. 'pool:' .. pool, prefix .. 'ready:' .. pool, prefix .. 'idle:' .. pool)
  call('ZREM', prefix .. 'pools', pool)
end
return pruned
