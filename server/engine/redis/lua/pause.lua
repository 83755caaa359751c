-- Keeps a type from being claimed, or lets it be claimed again.
--
-- KEYS  1: prefix of the partition
-- ARGV  'pause' or 'resume', type
-- Reply 'paused' or 'resumed'
-- Events none
--@include base
--@include pools
--@include idle
local action, type = ARGV[1], ARGV[2]
local routes = prefix .. 'routes'
call('HSETNX', prefix .. 'types', type, '')
local _, runners = parse_runners(call('HGET', routes, type))
--@run whole.begin
if action == 'pause' then
  call('HSET', routes, type, 'paused' .. runners)
  for pool in string.gmatch(runners, '%S+') do call('ZREM', prefix .. 'ready:' .. pool, type) end
else
  open_type(type, runners)
  local queued = call('ZCARD', prefix .. 'queue:' .. type)
  for pool in string.gmatch(queued > 0 and runners or '', '%S+') do
    make_ready(pool, { type })
    for _ = 1, queued do
      if not wake(pool, type) then break end
    end
  end
end
--@run whole.finish
return action == 'pause' and 'paused' or 'resumed'
