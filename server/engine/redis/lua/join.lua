-- Makes a pool of workers known: those that run exactly these types. Repeatable.
--
-- KEYS  1: prefix of the partition
-- ARGV  pool, types
-- Reply 'joined'
-- Events none
--@include base
--@include pools
--@include queues
local pool = argument()
call('ZADD', prefix .. 'pools', now, pool)
for n = 2, #ARGV do
  local type = ARGV[n]
  call('SADD', prefix .. 'pool:' .. pool, type)
  call('SADD', prefix .. 'pools:' .. type, pool)
  if call('ZCARD', prefix .. 'queue:' .. type) > 0 and call('SISMEMBER', prefix .. 'paused', type) == 0 then
    call('ZADD', prefix .. 'ready:' .. pool, 'NX', turn(n), type)
  end
end
return 'joined'
