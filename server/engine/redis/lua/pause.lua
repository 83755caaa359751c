-- Keeps a type from being claimed, or lets it be claimed again.
--
-- KEYS  1: prefix of the partition
-- ARGV  'pause' or 'resume', type
-- Reply 'paused' or 'resumed'
-- Events none
--@include base
--@include pools
--@include queues
local action, type = argument(), argument()
call('HSETNX', prefix .. 'types', type, '')
if action == 'pause' then
  call('SADD', prefix .. 'paused', type)
  for _, pool in ipairs(call('SMEMBERS', prefix .. 'pools:' .. type)) do
    call('ZREM', prefix .. 'ready:' .. pool, type)
  end
  return 'paused'
end
local queued = call('ZCARD', prefix .. 'queue:' .. type)
if call('SREM', prefix .. 'paused', type) == 1 and queued > 0 then offer(type, queued, 0) end
return 'resumed'
