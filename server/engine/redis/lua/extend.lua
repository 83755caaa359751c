-- Prolongs leases, counted from now. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of leases, then of each: id, lease, its length in ms
-- Reply { 'held', 'cancel_requested' or 'stale' of each }
-- Events none
--@include base
--@include arguments
--@include states
--@include fence
--@include out_of_memory
local verdicts = {}
local number_of_leases = tonumber(argument())
for n = 1, number_of_leases do
  local id, lease, lease_ms = argument(), argument(), tonumber(argument())
  local seq, status = run_of(call('HGET', job_prefix .. id, 'state'), lease)
  if seq then
    call('ZADD', prefix .. 'leases', 'XX', digits(now + lease_ms), id)
    verdicts[n] = status == 'cancelling' and 'cancel_requested' or 'held'
  else
    verdicts[n] = 'stale'
  end
end
return verdicts
