-- Hands a job that nobody has seen yet, and that would be alone in its queue, to a worker that waits for one: it is
-- claimed in that worker's name and sent to it, `run <claim id> <token> <now>` and then the lines of a claim's reply
-- (lib/claims.lua). Who does not get the message makes the claim that it waits under, and is answered from what a claim
-- leaves behind.
local function hand_over(type, id, lines)
  local MOST_IDLE_LOOKED_AT = 32
  local LARGEST_HAND_OVER = 65536
  if call('EXISTS', prefix .. 'queue:' .. type) == 1 then return false end
  local routes = prefix .. 'routes'
  local status, route = string.match(call('HGET', routes, type) or 'paused', '^(%a+)(.*)')
  if status == 'paused' then return false end
  -- No other lease of this job will have the random digits of its id, and no other job has them.
  local token = string.sub(id, 20)
  for pool in string.gmatch(route, '%S+') do
    local idle = prefix .. 'idle:' .. pool
    for _, entry in ipairs(call('ZRANGE', idle, 0, MOST_IDLE_LOOKED_AT - 1)) do
      if not string.find(entry, ' ' .. type .. ' ', 1, true) then
        local worker, claim_id, lease_ms = string.match(entry, '^(%S+) (%S+)/(%d+) ')
        if not worker then break end
        local lease = worker .. '/' .. token
        local message = 'run ' .. claim_id .. ' ' .. token .. ' ' .. now_text .. '\n' .. lines
        if #message > LARGEST_HAND_OVER then return false end
        call('ZREM', idle, entry)
        -- Nobody hears it where the worker has died: then the next one is asked, and nothing was stored.
        if call('PUBLISH', prefix .. 'worker:' .. worker, message) > 0 then
          call('HSET', job_prefix .. id, 'state', '2 processing ' .. lease, '2', now_text .. ' claimed')
          local memory = prefix .. 'claim:' .. worker .. ':' .. claim_id
          store_claim(memory, lease, lease_ms, { id }, { digits(now + lease_ms), id })
          count('processing', type, 1)
          if status == 'new' then
            call('HSETNX', prefix .. 'types', type, '')
            call('HSET', routes, type, 'open' .. route)
          end
          return true
        end
      end
    end
  end
  return false
end
for type, first in pairs(first_queued) do
  if #queueing[type] == 2 and hand_over(type, first[1], table.concat(first, '\n')) then queueing[type] = nil end
end
