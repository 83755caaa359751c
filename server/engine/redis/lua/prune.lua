-- Forgets terminal jobs past their time, and pools of workers that nobody has claimed for lately. (Idempotency records
-- go by themselves.)
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply pruned
-- Events none; publishes `gone expired`
--@include base
--@include states
--@include kinds
--@include counts
--@include forget
local POOL_LIFE_MS = 600000
local LIVE = { scheduled = true, queued = true, processing = true, cancelling = true }
local limit = tonumber(ARGV[1])
local pruned = 0
local ids = call('ZRANGEBYSCORE', prefix .. 'expiring', '-inf', now_text, 'LIMIT', 0, limit)
if #ids > 0 then
--@include begin
  for _, id in ipairs(ids) do
    local state = call('HGET', job_prefix .. id, 'state')
    local _, status = parse_state(state or '0 missing')
    if LIVE[status] then
      -- It is here because a script came to no end.
      call('ZREM', prefix .. 'expiring', id)
    else
      forget(id, 'expired')
      pruned = pruned + 1
    end
  end
--@include store_counts
--@include finish
end

local routes = prefix .. 'routes'
local pools = call('HGETALL', prefix .. 'pools')
for at = 1, #pools, 2 do
  local pool, heard = pools[at], pools[at + 1]
  if now - heard >= POOL_LIFE_MS then
    for _, type in ipairs(call('SMEMBERS', prefix .. 'pool:' .. pool)) do
      local route = ''
      for word in string.gmatch(call('HGET', routes, type) or 'new', '%S+') do
        if word ~= pool then route = route .. word .. ' ' end
      end
      call('HSET', routes, type, route)
    end
    call('DEL', prefix .. 'pool:' .. pool, prefix .. 'ready:' .. pool, prefix .. 'idle:' .. pool)
    call('SREM', prefix .. 'waiting', pool)
    call('HDEL', prefix .. 'pools', pool)
  end
end
return pruned
