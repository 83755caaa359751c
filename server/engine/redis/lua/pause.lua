-- Keeps a type from being claimed, or lets it be claimed again.
--
-- KEYS  1: prefix of the partition
-- ARGV  'pause' or 'resume', type
-- Reply 'paused' or 'resumed'
-- Events none
--@include base
--@include wake
local action, type = ARGV[1], ARGV[2]
local routes = prefix .. 'routes'
call('HSETNX', prefix .. 'types', type, '')
local _, route = string.match(call('HGET', routes, type) or 'open', '^(%a+)(.*)')
--@include begin
if action == 'pause' then
  call('HSET', routes, type, 'paused' .. route)
  for pool in string.gmatch(route, '%S+') do call('ZREM', prefix .. 'ready:' .. pool, type) end
--@include finish
  return 'paused'
end
call('HSET', routes, type, 'open' .. route)
local queued = call('ZCARD', prefix .. 'queue:' .. type)
if queued > 0 then
  local turn = clock[1] .. string.format('%06d', clock[2])
  for pool in string.gmatch(route, '%S+') do
    call('ZADD', prefix .. 'ready:' .. pool, 'NX', turn, type)
    for _ = 1, queued do
      if not wake(pool, type) then break end
    end
  end
end
--@include finish
return 'resumed'
