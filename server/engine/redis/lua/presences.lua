-- Reads what processes that are alive say of themselves; forgets the others.
--
-- KEYS  1: prefix of the partition
-- Reply { what each says of itself (JSON) }
-- Events none
local prefix, call = KEYS[1], redis.call
local alive = {}
for _, id in ipairs(call('SMEMBERS', prefix .. 'present')) do
  local text = call('GET', prefix .. 'presence:' .. id)
  if text then alive[#alive + 1] = text else call('SREM', prefix .. 'present', id) end
end
return alive
