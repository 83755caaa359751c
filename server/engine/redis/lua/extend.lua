-- Prolongs leases, counted from now. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of leases, then of each: id, lease, its length in ms
-- Reply { 'held', 'cancel_requested' or 'stale' of each }
-- Events none
--@include base
--@include state
--@run whole.free_first
local arguments, at = ARGV, 1
local verdicts = {}
for n = 1, tonumber(arguments[1]) do
  local id, lease, lease_ms = arguments[at + 1], arguments[at + 2], tonumber(arguments[at + 3])
  at = at + 3
  local seq, status = run_of(call('HGET', job_prefix .. id, 'state'), lease)
  if seq then
    call('ZADD', prefix .. 'leases', 'XX', digits(now + lease_ms), id)
    verdicts[n] = status == 'cancelling' and 'cancel_requested' or 'held'
  else
    verdicts[n] = 'stale'
  end
end
return verdicts
