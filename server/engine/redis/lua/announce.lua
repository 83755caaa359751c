-- Says that a process is alive.
--
-- KEYS  1: prefix of the partition
-- ARGV  its id, ms for which that holds, what it says of itself (JSON)
-- Reply 'announced'
-- Events none
--@include base
local id, life, text = argument(), tonumber(argument()), argument()
call('HSET', prefix .. 'presences', id, digits(now + life) .. ' ' .. text)
return 'announced'
