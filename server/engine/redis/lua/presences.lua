-- Processes that are alive; forgets the others.
--
-- KEYS  1: prefix of the partition
-- Reply { what each says of itself (JSON) }
-- Events none
--@include base
local alive = {}
local entries = call('HGETALL', prefix .. 'presences')
for at = 1, #entries, 2 do
  local expires, text = string.match(entries[at + 1], '^(%d+) (.*)$')
  if tonumber(expires) > now then
    alive[#alive + 1] = text
  else
    call('HDEL', prefix .. 'presences', entries[at])
  end
end
return alive
