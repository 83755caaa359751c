-- Prolongs leases, counted from now. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of leases, then of each: id, lease, its length in ms
-- Reply { 'held', 'cancel_requested' or 'stale' of each }
-- Events none
--@include base
allow_when_out_of_memory()
local verdicts = {}
local number_of_leases = tonumber(argument())
for n = 1, number_of_leases do
  local id, lease, lease_ms = argument(), argument(), tonumber(argument())
  local member = id .. ' ' .. lease
  if redis.call('ZSCORE', prefix .. 'leases', member) and redis.call('EXISTS', job_key(id)) == 1 then
    redis.call('ZADD', prefix .. 'leases', 'XX', now + lease_ms, member)
    verdicts[n] = redis.call('HGET', job_key(id), 'cancel') and 'cancel_requested' or 'held'
  else
    verdicts[n] = 'stale'
  end
end
return verdicts
