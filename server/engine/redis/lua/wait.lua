-- Enters a worker as idle unless there is work for it now. Checking and entering are one step, so a job queued between
-- an empty claim and this call is noticed here, and one queued after it wakes the worker or is handed to it.
--
-- KEYS  1: prefix of the partition
-- ARGV  pool, the worker's entry among the idle (lib/idle.lua)
-- Reply 'work', 'waiting' or 'unknown_pool'
-- Events none
--@include base
--@include idle
local pool, entry = ARGV[1], ARGV[2]
--@run pools.keep
if not is_known then return 'unknown_pool' end

-- This very call was carried out before, and a job handed over since: the claim brings it.
local worker, claim_id = parse_idle(entry)
if call('EXISTS', prefix .. 'claim:' .. worker .. ':' .. claim_id) == 1 then return 'work' end

local ready = prefix .. 'ready:' .. pool
local first = 0
while true do
  local types = call('ZRANGE', ready, first, first + 99)
  if #types == 0 then break end
  for _, type in ipairs(types) do
    if not has_room(entry, type) then
      first = first + 1
    elseif call('ZCARD', prefix .. 'queue:' .. type) > 0 then
      return 'work'
    else
      call('ZREM', ready, type)
    end
  end
end
call('SADD', prefix .. 'waiting', pool)
call('ZADD', prefix .. 'idle:' .. pool, clock[1] .. string.format('%06d', clock[2]), entry)
return 'waiting'
