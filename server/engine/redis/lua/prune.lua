-- Forgets terminal jobs past their time, and pools of workers that nobody has claimed for lately. (Idempotency records
-- go by themselves.)
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply pruned
-- Events none; publishes `gone expired`
--@include transition
--@include pools
local POOL_LIFE_MS = 600000
local LIVE = $LIVE
local limit = tonumber(ARGV[1])
local pruned = 0
local ids = call('ZRANGEBYSCORE', prefix .. 'expiring', '-inf', now_text, 'LIMIT', 0, limit)
if #ids > 0 then
  --@run whole.begin
  for _, id in ipairs(ids) do
    local job = load_job(id)
    if job and LIVE[job.status] then
      -- It is here because a script came to no end.
      leave('expiring', id)
    else
      forget(id, job, 'expired')
      pruned = pruned + 1
    end
  end
  --@run transition.finish
end

local function forget_pool(pool)
  for _, type in ipairs(call('SMEMBERS', prefix .. 'pool:' .. pool)) do
    local runners, pools = parse_runners(call('HGET', prefix .. 'routes', type))
    for other in string.gmatch(pools, '%S+') do
      if other ~= pool then runners = runners .. ' ' .. other end
    end
    call('HSET', prefix .. 'routes', type, runners)
  end
  call('DEL', prefix .. 'pool:' .. pool, prefix .. 'ready:' .. pool, prefix .. 'idle:' .. pool)
  call('SREM', prefix .. 'waiting', pool)
  call('HDEL', prefix .. 'pools', pool)
end

local pools = call('HGETALL', prefix .. 'pools')
for at = 1, #pools, 2 do
  if now - pools[at + 1] >= POOL_LIFE_MS then forget_pool(pools[at]) end
end
return pruned
