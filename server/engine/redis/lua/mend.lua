-- Puts jobs where their states say, after a script came to no end (lib/begin.lua): some a call, by order of submission, and
-- from the first one again where another script breaks meanwhile. Then counts them anew, unless they are very many. Works
-- when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply 'whole', or 'more' to do
-- Events released, of a job whose claim was not answered
--@include base
--@include states
--@include kinds
--@include counts
--@include events
--@include trim
--@include queues
--@include wake
local MOST_COUNTED = 100000
local limit = tonumber(ARGV[1])
local jobs, mending = prefix .. 'jobs', prefix .. 'mending'
local scheduled, leases, expiring = prefix .. 'scheduled', prefix .. 'leases', prefix .. 'expiring'

local begun = call('GET', mending)
if call('EXISTS', prefix .. 'whole') == 0 then
  -- From here on it shows whether another script breaks.
  begun = '0 -'
  call('DEL', prefix .. 'nothing')
  call('SET', mending, begun)
  call('SET', prefix .. 'whole', '1')
elseif not begun then
  return 'whole'
end
--@include begin

local function give_back(id, job, seq, kind, born)
  local event = now_text .. ' released -'
  call('HSET', job, 'state', digits(seq) .. ' queued', digits(seq), event)
  trim_status_events(job, seq)
  publish(id, digits(seq), event)
  enqueue(kind.type, string.match(born, ' (%d+)'), id)
end

local function mend(id)
  local job = job_prefix .. id
  local state, kind_text, born = unpack(call('HMGET', job, 'state', 'kind', 'born'))
  if not state then
    call('DEL', prefix .. 'payload:' .. id, prefix .. 'result:' .. id, prefix .. 'lines:' .. id)
    for _, index in ipairs({ scheduled, leases, expiring, jobs }) do call('ZREM', index, id) end
    return
  end
  local seq, status, detail = parse_state(state)
  local kind = kind_of(kind_text)
  local queue = prefix .. 'queue:' .. kind.type
  call('HSETNX', prefix .. 'types', kind.type, '')
  if status == 'processing' and not call('ZSCORE', leases, id) then
    -- Whoever gets a claim's answer has a lease.
    give_back(id, job, seq + 1, kind, born)
    status = 'queued'
  elseif status == 'queued' then
    if not call('ZSCORE', queue, id) then enqueue(kind.type, string.match(born, ' (%d+)'), id) end
  elseif status == 'scheduled' then
    call('ZADD', scheduled, detail, id)
  elseif status == 'cancelling' then
    call('ZADD', leases, 'NX', now_text, id)
  elseif status == 'completed' or status == 'failed' or status == 'cancelled' then
    call('ZADD', expiring, detail, id)
  elseif status ~= 'processing' then
    return
  end
  local is_live = status == 'queued' or status == 'scheduled' or status == 'processing' or status == 'cancelling'
  if status ~= 'queued' then call('ZREM', queue, id) end
  if status ~= 'scheduled' then call('ZREM', scheduled, id) end
  if status ~= 'processing' and status ~= 'cancelling' then call('ZREM', leases, id) end
  if is_live then call('ZREM', expiring, id) end
end

-- Where the last one is gone, behind all that were submitted later: those that shared its order come once more.
local order, last = string.match(begun, '^(%d+) (%S+)$')
local rank = call('ZRANK', jobs, last)
local first = rank and rank + 1 or call('ZCOUNT', jobs, '-inf', '(' .. order)
local entries = call('ZRANGE', jobs, first, first + limit - 1, 'WITHSCORES')
for at = 1, #entries, 2 do mend(entries[at]) end
local is_anybody_idle = true
--@include store_queued

local has_more = #entries == 2 * limit
if has_more then
  call('SET', mending, entries[#entries] .. ' ' .. entries[#entries - 1])
else
  -- A type with jobs is known to those that run it, and a paused one is not.
  local turn = clock[1] .. string.format('%06d', clock[2])
  for _, type in ipairs(call('HKEYS', prefix .. 'types')) do
    local status, route = string.match(call('HGET', prefix .. 'routes', type) or 'new', '^(%a+)(.*)')
    local has_jobs = call('EXISTS', prefix .. 'queue:' .. type) == 1
    if has_jobs and status == 'new' then call('HSET', prefix .. 'routes', type, 'open' .. route) end
    for pool in string.gmatch(route, '%S+') do
      local ready = prefix .. 'ready:' .. pool
      if status == 'paused' then
        call('ZREM', ready, type)
      elseif has_jobs then
        call('ZADD', ready, 'NX', turn, type)
        wake(pool, type)
      end
    end
  end
  if call('ZCARD', jobs) <= MOST_COUNTED then
    for _, id in ipairs(call('ZRANGE', jobs, 0, -1)) do
      local state, kind = unpack(call('HMGET', job_prefix .. id, 'state', 'kind'))
      local _, status = parse_state(state or '0 missing')
      if status == 'cancelling' then status = 'processing' end
      if kind then count(status, string.match(kind, '^%S+'), 1) end
    end
    call('DEL', prefix .. 'counts', prefix .. 'runs')
--@include store_counts
  end
  call('DEL', mending)
end
--@include finish
return has_more and 'more' or 'whole'
