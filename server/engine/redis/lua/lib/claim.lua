-- Claims jobs. Arguments: claim id, worker, pool, lease in ms, jobs in all, token, number of
-- limited types, then type and free slots of each (types of the pool that are not named have room for all).
-- A lease is `<worker>/<token>.<n>`; `leases` holds `<id> <lease>` by the end of the lease.
local MOST_CLAIM_BYTES = 4194304
-- Of a worker's claims the latest one is remembered, and of earlier ones so many bytes.
local MOST_REMEMBERED = 4096
-- However short the lease, a lost answer has to be noticed and the claim sent again.
local SHORTEST_MEMORY_MS = 2500

local claimed, claimed_bytes

-- Appends what the worker needs of a job. `past` is the ms that it waited, else `<attempt> <stalls>`.
local function describe(id, n, type, payload, policy, tags, past)
  if not payload then payload = redis.call('GET', prefix .. 'payload:' .. id) or 'null' end
  claimed_bytes = claimed_bytes + #payload
  local at = #claimed
  claimed[at + 1], claimed[at + 2], claimed[at + 3], claimed[at + 4] = id, n, type, payload
  claimed[at + 5], claimed[at + 6], claimed[at + 7] = policy, tags or '', past
end

-- How `describe` puts the past of a job that was claimed before: what it waited counts from its submission, unless it
-- was scheduled, retried or stalled meanwhile.
local function past_of(job, claimed_at)
  local created, attempt, stalls, scheduled, retried = unpack(redis.call('HMGET', job,
    'created', 'attempt', 'stalls', '1', 'retried'))
  if not attempt and not stalls and not scheduled and not retried then return claimed_at - created end
  return (attempt or '1') .. ' ' .. (stalls or '0')
end

local function last_claimed_at(job)
  local last, last_at = 0, 0
  local fields = redis.call('HGETALL', job)
  for at = 1, #fields, 2 do
    local seq = tonumber(fields[at])
    local claimed_at = seq and seq > last and string.match(fields[at + 1], '^(%d+) claimed$')
    if claimed_at then last, last_at = seq, claimed_at end
  end
  return last_at
end

-- The jobs of an earlier claim that are still held under its leases.
local function claim_again(worker, token, ids)
  local n = 0
  for id in string.gmatch(ids, '%S+') do
    n = n + 1
    if redis.call('ZSCORE', prefix .. 'leases', id .. ' ' .. worker .. '/' .. token .. '.' .. n) then
      local job = job_key(id)
      local type, payload, policy, tags = unpack(redis.call('HMGET', job, 'type', 'payload', 'policy', 'tags'))
      if type then describe(id, n, type, payload, policy, tags, past_of(job, last_claimed_at(job))) end
    end
  end
end

-- Starts one run, the n-th of this claim: false where there is no such job.
local claim_event = now_text .. ' claimed'
local function start_run(id, type, n, lease)
  local job = job_key(id)
  local last_seq, payload, policy, created, tags = unpack(redis.call('HMGET', job,
    'seq', 'payload', 'policy', 'created', 'tags'))
  if not last_seq then return false end
  local past
  if last_seq == '1' then
    past = now - created
  else
    past = past_of(job, now)
    redis.call('HDEL', job, 'progress', 'reported')
  end
  local seq_number = last_seq + 1
  local seq = digits(seq_number)
  redis.call('HSET', job, 'seq', seq, 'status', 'processing', 'lease', lease, seq, claim_event)
  trim_status_events(job, seq_number)
  publish(id, seq, claim_event)
  describe(id, n, type, payload, policy, tags, past)
  return true
end

-- Reply { 'claimed', token, { id, n, type, payload, policy, tags, past, … } }: seven of each job, see `describe`
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
    local earlier_token, ids = string.match(earlier, '^%S+ (%S+) ([^\n]*)', start + 1)
    claim_again(worker, earlier_token, ids)
    return { 'claimed', earlier_token, claimed }
  end

  local ready = prefix .. 'ready:' .. pool
  local leases, ids, turns = {}, {}, {}
  local lease_start = worker .. '/' .. token .. '.'
  local lease_end = digits(now + lease_ms)
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
        local n = #ids + 1
        local lease = lease_start .. n
        if start_run(id, type, n, lease) then
          ids[n] = id
          leases[#leases + 1] = lease_end
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
    if #earlier > MOST_REMEMBERED then
      earlier = string.match(string.sub(earlier, 1, MOST_REMEMBERED), '^(.*)\n') or ''
    end
    redis.call('SET', memory, record .. earlier, 'PX', math.max(lease_ms, SHORTEST_MEMORY_MS))
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
  return { 'claimed', token, claimed }
end
