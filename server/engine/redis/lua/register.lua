-- Makes job types known to every process, for 30 days from now (types.lua).
--
-- KEYS  1: prefix of the partition
-- ARGV  of each type: its name, its registration (JSON)
-- Reply 'registered'
-- Events none
--@include base
for at = 1, #ARGV, 2 do
  call('HSET', prefix .. 'registered', ARGV[at], now_text)
  call('HSET', prefix .. 'types', ARGV[at], ARGV[at + 1])
end
-- For those that an older version registered the 30 days begin now.
for _, type in ipairs(call('HKEYS', prefix .. 'types')) do call('HSETNX', prefix .. 'registered', type, now_text) end
return 'registered'
