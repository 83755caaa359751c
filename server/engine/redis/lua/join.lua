-- Makes a pool of workers known: those that run exactly these types. Repeatable.
--
-- KEYS  1: prefix of the partition
-- ARGV  pool, types
-- Reply 'joined'
-- Events none
--@include base
--@include pools
local pool = ARGV[1]
for n = 2, #ARGV do
  local type = ARGV[n]
  local status, runners = parse_runners(call('HGET', prefix .. 'routes', type))
  call('SADD', prefix .. 'pool:' .. pool, type)
  if not string.find(runners .. ' ', ' ' .. pool .. ' ', 1, true) then
    call('HSET', prefix .. 'routes', type, status .. runners .. ' ' .. pool)
  end
  if status ~= 'paused' and call('ZCARD', prefix .. 'queue:' .. type) > 0 then make_ready(pool, { type }) end
end
-- Last: a pool that is known has all of its types.
call('HSET', prefix .. 'pools', pool, now_text)
return 'joined'
