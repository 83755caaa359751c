-- Makes a pool of workers known: those that run exactly these types. Repeatable.
--
-- KEYS  1: prefix of the partition
-- ARGV  pool, types
-- Reply 'joined'
-- Events none
--@include base
local pool = ARGV[1]
local routes = prefix .. 'routes'
for n = 2, #ARGV do
  local type = ARGV[n]
  local route = call('HGET', routes, type) or 'new'
  call('SADD', prefix .. 'pool:' .. pool, type)
  if not string.find(route .. ' ', ' ' .. pool .. ' ', 1, true) then call('HSET', routes, type, route .. ' ' .. pool) end
  if string.sub(route, 1, 6) ~= 'paused' and call('ZCARD', prefix .. 'queue:' .. type) > 0 then
    call('ZADD', prefix .. 'ready:' .. pool, 'NX', clock[1] .. string.format('%06d', clock[2]), type)
  end
end
-- Last: a pool that is known has all of its types.
call('HSET', prefix .. 'pools', pool, now_text)
return 'joined'
