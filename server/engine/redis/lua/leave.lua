-- Takes a worker out of the idle. Where it had been woken meanwhile and no longer cares, another one is woken instead.
--
-- KEYS  1: prefix of the partition
-- ARGV  pool, the worker's entry among the idle
-- Reply 'left'
-- Events none
--@include base
--@include wake
local pool, entry = ARGV[1], ARGV[2]
if call('ZREM', prefix .. 'idle:' .. pool, entry) == 0 then
  for _, type in ipairs(call('ZRANGE', prefix .. 'ready:' .. pool, 0, 9)) do
    if call('ZCARD', prefix .. 'queue:' .. type) > 0 and wake(pool, type) then break end
  end
end
return 'left'
