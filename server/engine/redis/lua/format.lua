-- Says that a process of this version uses the store (server.ts).
--
-- KEYS  1: the key of the format
-- ARGV  the version, the oldest that may use the store beside it
-- Reply the format, `<version> <oldest>`, of the newest that has ever used it
-- Events none
local stored = redis.call('GET', KEYS[1]) or '0 0'
local version, oldest = string.match(stored, '^(%d+) (%d+)')
if version and tonumber(version) < tonumber(ARGV[1]) then
  stored = ARGV[1] .. ' ' .. math.max(tonumber(oldest), tonumber(ARGV[2]))
  redis.call('SET', KEYS[1], stored)
end
return stored
