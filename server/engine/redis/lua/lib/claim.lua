-- Claims jobs. Arguments: claim id, worker, pool, the entry among the idle that waits under this claim or '', lease in ms,
-- jobs in all, token, number of limited types, then type and free slots of each (types of the pool that are not named
-- have room for all).
local MOST_CLAIM_BYTES = 4194304

local claimed, payloads, payload_bytes

-- Appends what the worker needs of the next job of the claim. No part has a line break, so they go as lines of one text;
-- but for a payload that is kept apart, which stays as it is.
local function describe(id, kind, payload, born, past)
  local at = #claimed
  claimed[at + 1], claimed[at + 2], claimed[at + 3], claimed[at + 4], claimed[at + 5] = id, kind, payload or '', born, past
  if payload then return end
  local large = call('GET', prefix .. 'payload:' .. id) or 'null'
  payloads[#payloads + 1] = large
  payload_bytes = payload_bytes + #large
end

local function reply_claimed(token, claimed_at)
  return { 'claimed', token, claimed_at, table.concat(claimed, '\n'), payloads }
end

-- The past of a job that more has happened to than its submission: '' where it has waited since then, else
-- `<attempt> <stalls>`, for one that was scheduled, retried or stalled meanwhile.
local function past_of(job)
  local attempt, stalls, scheduled, retried = unpack(call('HMGET', job, 'attempt', 'stalls', '1', 'retried'))
  if not attempt and not stalls and not scheduled and not retried then return '' end
  return (attempt or '1') .. ' ' .. (stalls or '0')
end

-- The jobs of an earlier claim that are still held under its leases; the others leave empty places.
local function claim_again(worker, token, ids)
  local n = 0
  for id in string.gmatch(ids, '%S+') do
    n = n + 1
    local job = job_key(id)
    local state, kind, payload, born = unpack(call('HMGET', job, 'state', 'kind', 'payload', 'born'))
    local is_held = run_of(state, worker .. '/' .. token .. '.' .. n)
    if is_held then describe(id, kind, payload, born, past_of(job)) else describe('', '', '', '', '') end
  end
end

-- Starts one run, the n-th of this claim: false where there is no such job.
local claim_event = now_text .. ' claimed'
local function start_run(id, lease)
  local job = job_key(id)
  local state, kind, born, payload = unpack(call('HMGET', job, 'state', 'kind', 'born', 'payload'))
  if not state then return false end
  local seq_number, past = 2, ''
  if state ~= '1 queued' then
    seq_number, past = parse_state(state) + 1, past_of(job)
    call('HDEL', job, 'progress', 'reported')
  end
  local seq = digits(seq_number)
  call('HSET', job, 'state', seq .. ' processing ' .. lease, seq, claim_event)
  trim_status_events(job, seq_number)
  publish(id, seq, claim_event)
  describe(id, kind, payload, born, past)
  return true
end

-- Reply { 'claimed', token, now, lines: id, kind, payload, born and past of each, { the payloads that are left out there } }
--       { 'unknown_pool' }: nothing was claimed, join first
local function claim()
  local claim_id, worker, pool, waiting = next_arguments(4)
  local lease_ms, remaining, token = tonumber(argument()), tonumber(argument()), argument()
  local limits, number_of_limits = {}, tonumber(argument())
  for _ = 1, number_of_limits do
    local type = argument()
    limits[type] = tonumber(argument())
  end
  if not keep_pool(pool) then return { 'unknown_pool' } end
  -- From here on no job is handed over under this claim: one was before, and is remembered, or none ever is.
  if waiting ~= '' then call('ZREM', prefix .. 'idle:' .. pool, waiting) end

  claimed, payloads, payload_bytes = {}, {}, 0
  local memory = claim_key(worker, claim_id)
  local earlier = call('GET', memory)
  if earlier then
    local earlier_token, claimed_at, ids = string.match(earlier, '^(%S+) (%S+) (.*)')
    claim_again(worker, earlier_token, ids)
    return reply_claimed(earlier_token, claimed_at)
  end

  local ready = prefix .. 'ready:' .. pool
  local leases, ids, turns = {}, {}, {}
  local lease_start = worker .. '/' .. token .. '.'
  local lease_end = digits(now + lease_ms)
  local ready_types
  local full = false

  -- Takes up to `wanted` jobs of a type; returns how many its queue gave.
  local function take(type, wanted)
    local queue = prefix .. 'queue:' .. type
    local first = #ids
    local looked_at = 0
    -- Of several not ZPOPMIN, which would write out and read again a score for each.
    local next_ids
    if payload_bytes > MOST_CLAIM_BYTES then
      next_ids = {}
    elseif wanted == 1 then
      next_ids = { call('ZPOPMIN', queue)[1] }
    else
      next_ids = call('ZRANGE', queue, 0, wanted - 1)
    end
    for _, id in ipairs(next_ids) do
      if payload_bytes > MOST_CLAIM_BYTES then break end
      looked_at = looked_at + 1
      local n = #ids + 1
      if start_run(id, lease_start .. n) then
        ids[n] = id
        leases[2 * n - 1] = lease_end
        leases[2 * n] = id
      end
    end
    if wanted > 1 and looked_at > 0 then call('ZREMRANGEBYRANK', queue, 0, looked_at - 1) end
    full = payload_bytes > MOST_CLAIM_BYTES
    local started = #ids - first
    if started > 0 then count('processing', type, started) end
    remaining = full and 0 or remaining - started
    return looked_at
  end

  -- One round after the other; in each, every type with jobs and room gets the same share.
  local emptied
  repeat
    emptied = {}
    local most = remaining + number_of_limits + 1
    ready_types = call('ZRANGE', ready, 0, most - 1)
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
          emptied[#emptied + 1] = type
          turns[type] = nil
        else
          turns[type] = turn(#ids)
          if (limits[type] or 1) > 0 then still_active[#still_active + 1] = type end
        end
      end
      active = still_active
    end
    if #emptied > 0 then call('ZREM', ready, unpack(emptied)) end
    -- Where all ready types were looked at, those that were found empty leave none to be looked at.
  until remaining <= 0 or #emptied == 0 or #ready_types < most

  if #ids > 0 then store_claim(memory, token, lease_ms, ids, leases) end
  -- A single type need not take turns; the others go to the end, in the order in which they were served.
  if #ready_types > 1 then
    local served = {}
    for type, when in pairs(turns) do
      served[#served + 1] = when
      served[#served + 1] = type
    end
    if #served > 0 then call('ZADD', ready, 'XX', unpack(served)) end
  end
  -- Whoever was woken for several jobs and could not take all wakes the next.
  if remaining <= 0 and call('ZCARD', prefix .. 'idle:' .. pool) > 0 then
    for _, type in ipairs(call('ZRANGE', ready, 0, 9)) do
      if call('ZCARD', prefix .. 'queue:' .. type) > 0 and wake(pool, type) then break end
    end
  end
  return reply_claimed(token, now_text)
end

-- Arguments: number of claims, then those of each.
local function claim_all()
  local replies = {}
  local number_of_claims = tonumber(argument())
  for n = 1, number_of_claims do
    replies[n] = claim()
  end
  return replies
end
