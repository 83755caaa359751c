-- Tells how far jobs are.
--
-- KEYS  1: prefix of the partition
-- ARGV  ids
-- Reply { { seq, status } or 'missing' of each }
-- Events none
--@include base
--@include read
local positions = {}
for n, id in ipairs(ARGV) do
  local seq, status = live_state(call('HGET', job_prefix .. id, 'state'))
  if status == 'cancelling' then status = 'processing' end
  positions[n] = seq and { seq, status } or 'missing'
end
return positions
