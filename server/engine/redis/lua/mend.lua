-- Puts jobs where their states say, after a script came to no end (lib/whole.lua): some a call, by order of submission, and
-- from the first one again where another script breaks meanwhile. Then counts them anew, unless they are very many. Works
-- when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply 'whole', or 'more' to do
-- Events released, of a job whose claim was not answered
--@include transition
--@include pools
--@include idle
local MOST_COUNTED = 100000
local LIVE = $LIVE
local limit = tonumber(ARGV[1])
local jobs, mending, leases = prefix .. 'jobs', prefix .. 'mending', prefix .. 'leases'

local begun = call('GET', mending)
if call('EXISTS', prefix .. 'whole') == 0 then
  -- From here on it shows whether another script breaks.
  begun = '0 -'
  --@run whole.free_first
  call('SET', mending, begun)
  call('SET', prefix .. 'whole', '1')
elseif not begun then
  return 'whole'
end
--@run whole.begin

local function mend(id)
  local job = load_job(id)
  if not job then
    call('DEL', prefix .. 'payload:' .. id, prefix .. 'result:' .. id, prefix .. 'lines:' .. id)
    for _, set in ipairs({ 'scheduled', 'leases', 'expiring', 'jobs' }) do call('ZREM', prefix .. set, id) end
    return
  end
  local status, type = job.status, job.type
  local queue = set_of('queued', type)
  call('HSETNX', prefix .. 'types', type, '')
  -- Another one is of a newer version, which knows where it belongs.
  if not LIVE[status] and not TERMINAL[status] then return end
  if status == 'processing' and not call('ZSCORE', leases, id) then
    -- Whoever gets a claim's answer has a lease.
    change(job, 'released', '-')
    status = 'queued'
  elseif status == 'queued' then
    if not call('ZSCORE', prefix .. queue, id) then enqueue(job) end
  elseif status == 'cancelling' then
    call('ZADD', leases, 'NX', now_text, id)
  elseif status ~= 'processing' then
    call('ZADD', prefix .. set_of(status, type), job.detail, id)
  end
  for _, set in ipairs({ queue, 'scheduled', 'leases', 'expiring' }) do
    if set ~= set_of(status, type) then call('ZREM', prefix .. set, id) end
  end
end

-- Where the last one is gone, behind all that were submitted later: those that shared its order come once more.
local order, last = string.match(begun, '^(%d+) (%S+)$')
local rank = call('ZRANK', jobs, last)
local first = rank and rank + 1 or call('ZCOUNT', jobs, '-inf', '(' .. order)
local entries = call('ZRANGE', jobs, first, first + limit - 1, 'WITHSCORES')
for at = 1, #entries, 2 do mend(entries[at]) end
--@run transition.store

local has_more = #entries == 2 * limit
if has_more then
  call('SET', mending, entries[#entries] .. ' ' .. entries[#entries - 1])
else
  -- A type with jobs is known to those that run it, and a paused one is not.
  for _, type in ipairs(call('HKEYS', prefix .. 'types')) do
    local status, runners = parse_runners(call('HGET', prefix .. 'routes', type))
    local has_jobs = call('EXISTS', prefix .. 'queue:' .. type) == 1
    if has_jobs and status == 'new' then open_type(type, runners) end
    for pool in string.gmatch(runners, '%S+') do
      if status == 'paused' then
        call('ZREM', prefix .. 'ready:' .. pool, type)
      elseif has_jobs then
        make_ready(pool, { type })
        wake(pool, type)
      end
    end
  end
  if call('ZCARD', jobs) <= MOST_COUNTED then
    -- What was counted so far is among them.
    run_changes, count_changes = {}, {}
    for _, id in ipairs(call('ZRANGE', jobs, 0, -1)) do
      local state, kind = unpack(call('HMGET', job_prefix .. id, 'state', 'kind'))
      local _, status = parse_state(state or '0 missing')
      if status == 'cancelling' then status = 'processing' end
      if kind then count(status, type_of(kind), 1) end
    end
    call('DEL', prefix .. 'counts', prefix .. 'runs')
    --@run counts.store
  end
  call('DEL', mending)
end
--@run whole.finish
return has_more and 'more' or 'whole'
