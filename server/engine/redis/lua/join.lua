-- Makes a pool of workers known: those that run exactly these types. Repeatable.
--
-- KEYS  1: prefix of the partition
-- ARGV  pool, types
-- Reply 'joined'
-- Events none
--@include base
--@include queues
local pool = argument()
redis.call('ZADD', prefix .. 'pools', now, pool)
for n = 2, #ARGV do
  local type = ARGV[n]
  redis.call('SADD', prefix .. 'pool:' .. pool, type)
  redis.call('SADD', prefix .. 'pools:' .. type, pool)
  if redis.call('ZCARD', prefix .. 'queue:' .. type) > 0 and redis.call('SISMEMBER', prefix .. 'paused', type) == 0 then
    redis.call('ZADD', prefix .. 'ready:' .. pool, 'NX', turn(n), type)
  end
end
return 'joined'
