-- Claims jobs. Arguments: claim id, worker, pool, lease in ms, jobs in all, token, number of
-- limited types, then type and free slots of each (types of the pool that are not named have room for all).
-- A lease is `<worker>/<token>.<n>`; `leases` holds `<id> <lease>` by the end of the lease.
local MOST_CLAIM_BYTES = 4194304
local REMEMBERED_CLAIMS = 8
-- However short the lease, a lost answer has to be noticed and the claim sent again.
local SHORTEST_MEMORY_MS = 2500

local claimed, claimed_bytes

-- What the worker needs of a job, as one tagged row of the reply.
local function describe(id, lease, type, payload, policy, attempt, stalls, tags, waited)
  claimed_bytes = claimed_bytes + #payload
  claimed[#claimed + 1] = { id, lease, type, payload, policy, attempt or '1', stalls or '0', tags or '', waited }
end

local function payload_of(id, small)
  return small or redis.call('GET', prefix .. 'payload:' .. id) or 'null'
end

-- The jobs of an earlier claim that are still held under its leases.
local function claim_again(worker, token, ids)
  local n = 0
  for id in string.gmatch(ids, '%S+') do
    n = n + 1
    local lease = worker .. '/' .. token .. '.' .. n
    if redis.call('ZSCORE', prefix .. 'leases', id .. ' ' .. lease) then
      local type, payload, policy, attempt, stalls, tags, created, started, second = unpack(redis.call('HMGET',
        job_key(id), 'type', 'payload', 'policy', 'attempt', 'stalls', 'tags', 'created', 'started', '2'))
      if type then
        local waited = ''
        if second == started .. ' claimed' and not attempt and not stalls then waited = started - created end
        describe(id, lease, type, payload_of(id, payload), policy, attempt, stalls, tags, waited)
      end
    end
  end
end

-- Starts one run: false where there is no such job.
local function start_run(id, type, lease)
  local job = job_key(id)
  local last_seq, payload, policy, attempt, stalls, tags, created, progress = unpack(redis.call('HMGET', job,
    'seq', 'payload', 'policy', 'attempt', 'stalls', 'tags', 'created', 'progress'))
  if not last_seq then return false end
  local seq = last_seq + 1
  local event = now_text .. ' claimed'
  redis.call('HSET', job, 'status', 'processing', 'seq', seq, 'started', now_text, 'lease', lease, seq, event)
  if progress then redis.call('HDEL', job, 'progress') end
  trim_status_events(job, seq)
  publish(id, seq, event)
  local waited = ''
  if last_seq == '1' then waited = now - created end
  describe(id, lease, type, payload_of(id, payload), policy, attempt, stalls, tags, waited)
  return true
end

-- Reply { 'claimed', { { id, lease, type, payload, policy, attempt, stalls, tags, waited ms or '' }, … } }
--       { 'unknown_pool' }: nothing was claimed, join first
local function claim()
  local claim_id, worker, pool = argument(), argument(), argument()
  local lease_ms, remaining, token = tonumber(argument()), tonumber(argument()), argument()
  local limits, number_of_limits = {}, tonumber(argument())
  for _ = 1, number_of_limits do
    local type = argument()
    limits[type] = tonumber(argument())
  end
  if not keep_pool(pool) then return { 'unknown_pool' } end

  claimed, claimed_bytes = {}, 0
  local memory = prefix .. 'claims:' .. worker
  local earlier = redis.call('GET', memory) or ''
  local start = string.find(earlier, '\n' .. claim_id .. ' ', 1, true)
  if start then
    claim_again(worker, string.match(earlier, '^%S+ (%S+) ([^\n]*)', start + 1))
    return { 'claimed', claimed }
  end

  local ready = prefix .. 'ready:' .. pool
  local leases, ids, turns = {}, {}, {}
  local ready_types
  local full = false

  -- Takes up to `wanted` jobs of a type; returns how many its queue gave.
  local function take(type, wanted)
    local popped = redis.call('ZPOPMIN', prefix .. 'queue:' .. type, wanted)
    for at = 1, #popped, 2 do
      local id = popped[at]
      if claimed_bytes > MOST_CLAIM_BYTES then
        redis.call('ZADD', prefix .. 'queue:' .. type, popped[at + 1], id)
        remaining, full = 0, true
      else
        local lease = worker .. '/' .. token .. '.' .. (#ids + 1)
        if start_run(id, type, lease) then
          ids[#ids + 1] = id
          leases[#leases + 1] = now + lease_ms
          leases[#leases + 1] = id .. ' ' .. lease
          count('processing', type, 1)
          remaining = remaining - 1
        end
      end
    end
    return #popped / 2
  end

  -- One round after the other; in each, every type with jobs and room gets the same share.
  local emptied
  repeat
    emptied = false
    ready_types = redis.call('ZRANGE', ready, 0, remaining + number_of_limits)
    local active = {}
    for _, type in ipairs(ready_types) do
      if (limits[type] or remaining) > 0 then active[#active + 1] = type end
    end
    while remaining > 0 and #active > 0 do
      local share = math.max(1, math.floor(remaining / #active))
      local still_active = {}
      for _, type in ipairs(active) do
        if remaining <= 0 then break end
        local wanted = math.min(share, remaining, limits[type] or remaining)
        local got = take(type, wanted)
        if limits[type] then limits[type] = limits[type] - got end
        if got < wanted and not full then
          redis.call('ZREM', ready, type)
          turns[type] = nil
          emptied = true
        else
          turns[type] = turn(#ids)
          if (limits[type] or 1) > 0 then still_active[#still_active + 1] = type end
        end
      end
      active = still_active
    end
  until remaining <= 0 or not emptied

  if #ids > 0 then
    redis.call('ZADD', prefix .. 'leases', unpack(leases))
    local record = '\n' .. claim_id .. ' ' .. token .. ' ' .. table.concat(ids, ' ')
    local _, kept = string.find(earlier, string.rep('\n[^\n]*', REMEMBERED_CLAIMS - 1))
    redis.call('SET', memory, record .. string.sub(earlier, 1, kept or #earlier), 'PX',
      math.max(lease_ms, SHORTEST_MEMORY_MS))
  end
  -- A single type need not take turns; the others go to the end, in the order in which they were served.
  if #ready_types > 1 then
    local served = {}
    for type, when in pairs(turns) do
      served[#served + 1] = when
      served[#served + 1] = type
    end
    if #served > 0 then redis.call('ZADD', ready, 'XX', unpack(served)) end
  end
  -- Whoever was woken for several jobs and could not take all wakes the next.
  if remaining <= 0 and redis.call('ZCARD', prefix .. 'idle:' .. pool) > 0 then
    for _, type in ipairs(redis.call('ZRANGE', ready, 0, 9)) do
      if redis.call('ZCARD', prefix .. 'queue:' .. type) > 0 and wake(pool, type) then break end
    end
  end
  return { 'claimed', claimed }
end
