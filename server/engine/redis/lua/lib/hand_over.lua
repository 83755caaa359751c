-- Hands a job that nobody has seen yet, and that would be alone in its queue, to a worker that waits for one: it is
-- claimed in that worker's name and sent to it, `run <claim id> <token> <now>` and then the lines of a claim's reply
-- (lib/claims.lua). Who does not get the message makes the claim that it waits under, and is answered from what a claim
-- leaves behind. Returns the lease, under which the job is then to be stored; nil where nobody took it.
local function hand_over(type, id, kind, payload, born)
  local MOST_IDLE_LOOKED_AT = 32
  local LARGEST_PAYLOAD = 65536
  if #payload > LARGEST_PAYLOAD or call('EXISTS', prefix .. 'queue:' .. type) == 1 then return nil end
  local routes = prefix .. 'routes'
  local status, route = string.match(call('HGET', routes, type) or 'paused', '^(%a+)(.*)')
  if status == 'paused' then return nil end
  -- No other lease of this job will have the random digits of its id, and no other job has them.
  local token = string.sub(id, 20)
  local message = token .. ' ' .. now_text .. '\n' .. id .. '\n' .. kind .. '\n' .. payload .. '\n' .. born .. '\n'
  local lease
  for pool in string.gmatch(route, '%S+') do
    local idle = prefix .. 'idle:' .. pool
    -- Those that this job is not for, to be put back where they were.
    local others = {}
    repeat
      local entry, since = unpack(call('ZPOPMIN', idle))
      if not entry then break end
      local worker, claim_id, lease_ms = string.match(entry, '^(%S+) (%S+)/(%d+) ')
      if string.find(entry, ' ' .. type .. ' ', 1, true) then
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
          store_claim(memory, lease, lease_ms, { id }, { digits(now + lease_ms), id })
        end
      end
    until lease or #others == 2 * MOST_IDLE_LOOKED_AT
    if #others > 0 then call('ZADD', idle, unpack(others)) end
    if lease then break end
  end
  if lease then
    count('processing', type, 1)
    if status == 'new' then
      call('HSETNX', prefix .. 'types', type, '')
      call('HSET', routes, type, 'open' .. route)
    end
  end
  return lease
end
