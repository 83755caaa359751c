-- Tells when there will be something to promote, to rescue and to prune, whether the store was wiped, and which versions may
-- use it. A process that is idle asks nothing else, so each command counts.
--
-- KEYS  1: prefix of the partition
-- Reply { ms until the next scheduled job is due, the next lease ends, the next job expires; 0 where that has passed, ''
--       where there is none. A lease has ended where a script came to no end (lib/whole.lua): rescue.lua tells of it; the marks
--       { `epoch`, `format` }, '' where there is none }
-- Events none
local prefix, call = KEYS[1], redis.call
local now
local reply = {}
for n, name in ipairs({ 'scheduled', 'leases', 'expiring' }) do
  local time = tonumber(call('ZRANGE', prefix .. name, 0, 0, 'WITHSCORES')[2])
  -- One entry of `leases` never ends (lib/claims.lua).
  if time and time < math.huge then
    if not now then
      local clock = call('TIME')
      now = clock[1] * 1000 + math.floor(clock[2] / 1000)
    end
    reply[n] = math.max(0, time - now)
  else
    reply[n] = ''
  end
end
local marks = call('MGET', prefix .. 'whole', prefix .. 'mending', prefix .. 'epoch', prefix .. 'format')
local whole, mending, epoch, format = unpack(marks)
if mending or not whole and call('EXISTS', prefix .. 'jobs') == 1 then reply[2] = 0 end
reply[4] = { epoch or '', format or '' }
return reply
