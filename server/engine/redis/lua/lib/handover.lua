-- Hands a job that nobody has seen yet to a worker that waits for one: it is claimed in that worker's name and sent to
-- it, `run <claim id> <token> <now>` and then the lines of a claim's reply (lib/claim.lua). Who does not get the message
-- makes the claim that it waits under, and is answered from what a claim leaves behind.
local LARGEST_HAND_OVER = 65536

local handed_over = 0

local function start_handed(job, id, type, worker, claim_id, token, lease_ms)
  call('HSET', job, 'state', '2 processing ' .. worker .. '/' .. token .. '.1', '2', now_text .. ' claimed')
  store_claim(claim_key(worker, claim_id), token, lease_ms, { id }, { digits(now + lease_ms), id })
  count('processing', type, 1)
end

-- Of the pool: to the worker that has been idle longest and has room for the type. Whether it was received.
local function hand_over_in(pool, type, id, lines, token_start)
  local idle = prefix .. 'idle:' .. pool
  for _, member in ipairs(call('ZRANGE', idle, 0, MOST_IDLE_LOOKED_AT - 1)) do
    if has_room(member, type) then
      local worker, claim_id, lease_ms = waits_under(member)
      if not worker then return false end
      local token = token_start .. handed_over
      local message = 'run ' .. claim_id .. ' ' .. token .. ' ' .. now_text .. '\n' .. lines
      if #message > LARGEST_HAND_OVER then return false end
      call('ZREM', idle, member)
      -- Nobody hears it where the worker has died: then the next one is asked, and nothing was stored.
      if call('PUBLISH', prefix .. 'worker:' .. worker, message) > 0 then
        handed_over = handed_over + 1
        start_handed(job_key(id), id, type, worker, claim_id, token, tonumber(lease_ms))
        return true
      end
    end
  end
  return false
end

local function hand_over(type, id, lines, token_start)
  if call('SISMEMBER', prefix .. 'paused', type) == 1 then return false end
  for _, pool in ipairs(call('SMEMBERS', prefix .. 'pools:' .. type)) do
    if hand_over_in(pool, type, id, lines, token_start) then return true end
  end
  return false
end
