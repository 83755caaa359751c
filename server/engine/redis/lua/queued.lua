-- Tells whether any job is queued, with two commands for a thousand types.
--
-- KEYS  1: prefix of the partition
-- Reply 1 or 0
-- Events none
local prefix, call = KEYS[1], redis.call
local MOST_KEYS = 1000
local queues = {}
for n, type in ipairs(call('HKEYS', prefix .. 'types')) do queues[n] = prefix .. 'queue:' .. type end
for first = 1, #queues, MOST_KEYS do
  if call('EXISTS', unpack(queues, first, math.min(first + MOST_KEYS - 1, #queues))) > 0 then return 1 end
end
return 0
