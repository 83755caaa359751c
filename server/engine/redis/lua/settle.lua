-- Ends runs and claims the next jobs. Sent again with the same leases and claim ids, it answers the same and changes
-- nothing more. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of settlements, then of each: `<id> <lease>`, its unsent events (lib/runs.lua), outcome, and with
--         completed: the result (JSON)
--         failed: the failure (JSON)
--         rescheduled: the failure (JSON), delay in ms
--       number of claims, then of each: lib/claim.lua
-- Reply { { status that each job took, or 'stale' }, { reply of each claim } }
-- Events completed, failed, rescheduled, cancelled or released; claimed
--@include base
--@include counts
--@include events
--@include runs
--@include queues
--@include claim
local LARGEST_FIELD = 64
local ID_LENGTH = 36
local STATUS_AFTER = {
  completed = 'completed', failed = 'failed', rescheduled = 'scheduled', cancelled = 'cancelled', released = 'queued',
}

local expiring = {}

-- Of a lease that is no longer held: the status that the job took if this very lease settled it, or 'stale'.
local function earlier_verdict(id, token)
  if token == '' then return 'stale' end
  local fields = redis.call('HGETALL', job_key(id))
  for at = 1, #fields, 2 do
    if tonumber(fields[at]) then
      local word, settled_by = string.match(fields[at + 1], '^%d+ (%a+) (%S+)')
      if settled_by == token and STATUS_AFTER[word] then return STATUS_AFTER[word] end
    end
  end
  return 'stale'
end

-- What comes with an outcome.
local function outcome_arguments(outcome)
  if outcome == 'completed' or outcome == 'failed' then return argument() end
  if outcome == 'rescheduled' then return argument(), argument() end
end

local function settle(id, token)
  local job = job_key(id)
  local last_seq, type, policy, cancel, failure = unpack(redis.call('HMGET', job,
    'seq', 'type', 'policy', 'cancel', 'failure'))
  if not last_seq then
    skip_reported()
    outcome_arguments(argument())
    return 'stale'
  end
  local seq_number = store_reported(id, job, tonumber(last_seq)) + 1
  local seq = digits(seq_number)
  local outcome = argument()
  local detail, delay = outcome_arguments(outcome)
  if cancel and outcome ~= 'completed' then outcome = 'cancelled' end
  local status = STATUS_AFTER[outcome]
  local event = now_text .. ' ' .. outcome .. ' ' .. token
  local published = nil
  if outcome == 'released' then
    local place = redis.call('HGET', job, 'place')
    redis.call('HSET', job, 'seq', seq, 'status', status, seq, event)
    enqueue(type, place, id)
  elseif outcome == 'rescheduled' then
    local due = digits(now + tonumber(delay))
    local attempt = digits((redis.call('HGET', job, 'attempt') or '1') + 1)
    event = event .. ' ' .. attempt .. ' ' .. due .. ' ' .. detail
    redis.call('HSET', job, 'seq', seq, 'status', status, seq, event,
      'attempt', attempt, 'due', due, 'failure', detail)
    redis.call('ZADD', prefix .. 'scheduled', due, id)
  else
    local expires = digits(now + retention(policy))
    event = event .. ' ' .. expires
    if outcome == 'completed' then
      published = event .. ' ' .. detail
      local small = #detail <= LARGEST_FIELD
      redis.call('HSET', job, 'seq', seq, 'status', status, seq, event, 'expires', expires,
        small and 'result' or 'lease', small and detail or '')
      if not small then redis.call('SET', prefix .. 'result:' .. id, detail) end
      if failure then redis.call('HDEL', job, 'failure') end
    elseif outcome == 'failed' then
      event = event .. ' ' .. detail
      redis.call('HSET', job, 'seq', seq, 'status', status, seq, event, 'expires', expires,
        'failure', detail)
    else
      redis.call('HSET', job, 'seq', seq, 'status', status, seq, event, 'expires', expires,
        'cancel', 1)
      if failure then redis.call('HDEL', job, 'failure') end
    end
    expiring[#expiring + 1] = expires
    expiring[#expiring + 1] = id
  end
  trim_status_events(job, seq_number)
  publish(id, seq, published or event)
  count('processing', type, -1)
  count(status, type, 1)
  return status
end

allow_when_out_of_memory()
local verdicts = {}
local number_of_settlements = tonumber(argument())
for n = 1, number_of_settlements do
  local run = argument()
  local id = string.sub(run, 1, ID_LENGTH)
  local slash = string.find(run, '/', ID_LENGTH, true)
  local token = slash and string.sub(run, slash + 1) or ''
  if redis.call('ZREM', prefix .. 'leases', run) == 1 then
    verdicts[n] = settle(id, token)
  else
    skip_reported()
    outcome_arguments(argument())
    verdicts[n] = earlier_verdict(id, token)
  end
end
if #expiring > 0 then redis.call('ZADD', prefix .. 'expiring', unpack(expiring)) end
store_queued()

local claims = {}
local number_of_claims = tonumber(argument())
for n = 1, number_of_claims do
  claims[n] = claim()
end
store_counts()
return { verdicts, claims }
