-- Says that a process is alive.
--
-- KEYS  1: prefix of the partition
-- ARGV  its id, ms for which that holds, what it says of itself (JSON)
-- Reply 'announced'
-- Events none
--@include base
local id, life, text = ARGV[1], tonumber(ARGV[2]), ARGV[3]
call('HSET', prefix .. 'presences', id, digits(now + life) .. ' ' .. text)
return 'announced'
