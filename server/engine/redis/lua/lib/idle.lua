-- Workers that wait. `idle:<pool>` holds them, longest first, each as an entry `<worker> <claim id>/<lease in ms> <type>
-- <type> `: a job may be handed over under this claim, and the types are those of the pool that it has no room for.
-- `waiting` holds every pool with idle workers, and maybe some without.
--
-- Takes call, try, prefix.
-- Gives parse_idle, has_room, wake.

-- Takes an entry apart: the worker, the claim that it waits under and the length of its lease.
local function parse_idle(entry)
  return string.match(entry, '^(%S+) (%S+)/(%d+) ')
end

local function has_room(entry, type)
  return not string.find(entry, ' ' .. type .. ' ', 1, true)
end

-- Wakes the worker of the pool that has been idle longest and has room for this type. Returns whether there is one.
local function wake(pool, type)
  local idle = prefix .. 'idle:' .. pool
  local entries = call('ZRANGE', idle, 0, $MOST_IDLE_LOOKED_AT - 1)
  for _, entry in ipairs(entries) do
    if has_room(entry, type) then
      call('ZREM', idle, entry)
      local worker = string.match(entry, '^%S+')
      -- Nobody hears it where the worker has died: then the next one is asked. What may not be published got lost.
      if try('PUBLISH', prefix .. 'worker:' .. worker, 'wake') ~= 0 then return true end
    end
  end
  if #entries == 0 then call('SREM', prefix .. 'waiting', pool) end
  return false
end

--@part hand_over
-- Hands a job that nobody has seen yet, and that would be alone in its queue, to a worker that waits for one: it is
-- claimed in that worker's name and sent to it, `run <claim id> <token> <now>` and then the lines of a claim's reply
-- (lib/claims.lua). Who does not get the message makes the claim that it waits under, and is answered from what a claim
-- leaves behind. The job is then to be stored under the lease; there is none where nobody took it.
--
-- Takes call, try, prefix, digits, clock, now, now_text, count, type, id, kind, payload, born.
-- Gives lease.
local lease
if #payload <= $LARGEST_MESSAGE and call('EXISTS', prefix .. 'queue:' .. type) == 0 then
  --@include pools
  --@include idle
  local status, runners = parse_runners(call('HGET', prefix .. 'routes', type))
  if status == 'paused' then runners = '' end
  -- No other lease of this job will have the random digits of its id, and no other job has them.
  local token = string.sub(id, 20)
  local message = token .. ' ' .. now_text .. '\n' .. id .. '\n' .. kind .. '\n' .. payload .. '\n' .. born .. '\n'
  for pool in string.gmatch(runners, '%S+') do
    local idle = prefix .. 'idle:' .. pool
    -- Workers that this job is not for are put back where they were.
    local others = {}
    repeat
      local entry, since = unpack(call('ZPOPMIN', idle))
      if not entry then break end
      local worker, claim_id, lease_ms = parse_idle(entry)
      if not has_room(entry, type) then
        others[#others + 1] = since
        others[#others + 1] = entry
      else
        -- Nobody hears it where the worker has died: then the next one is asked, and nothing was stored.
        local heard = tonumber(try('PUBLISH', prefix .. 'worker:' .. worker, 'run ' .. claim_id .. ' ' .. message))
        if not heard then
          -- It may not be published at all: the job waits in its queue.
          others[#others + 1] = since
          others[#others + 1] = entry
          break
        elseif heard > 0 then
          lease = worker .. '/' .. token
          local memory = prefix .. 'claim:' .. worker .. ':' .. claim_id
          local ids, leases = { id }, { digits(now + lease_ms), id }
          --@run claims.remember
        end
      end
    until lease or #others == 2 * $MOST_IDLE_LOOKED_AT
    if #others > 0 then call('ZADD', idle, unpack(others)) end
    if lease then break end
  end
  if lease then
    count('processing', type, 1)
    if status == 'new' then open_type(type, runners) end
  end
end
