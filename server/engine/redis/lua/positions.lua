-- Where jobs stand.
--
-- KEYS  1: prefix of the partition
-- ARGV  ids
-- Reply { { seq, status } or 'missing' of each }
-- Events none
--@include base
--@include read
local positions = {}
for n, id in ipairs(ARGV) do
  local seq, status, expires = unpack(redis.call('HMGET', job_key(id), 'seq', 'status', 'expires'))
  positions[n] = seq and not is_gone(expires) and { seq, status } or 'missing'
end
return positions
