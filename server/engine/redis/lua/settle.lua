-- Ends runs and claims the next jobs. Sent again with the same leases and claim ids, it answers the same and changes
-- nothing more. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of settlements, then of each: id, lease, outcome, detail, extra, its unsent events (lib/runs.lua);
--         completed: the result (JSON), -
--         failed: the failure (JSON), -
--         rescheduled: the failure (JSON), delay in ms
--         cancelled, released: -, -
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
local STATUS_AFTER = {
  completed = 'completed', failed = 'failed', rescheduled = 'scheduled', cancelled = 'cancelled', released = 'queued',
}

local expiring = {}

-- Of a lease that is no longer held: the status that the job took if this very lease settled it, or 'stale'.
local function earlier_verdict(id, lease)
  local token = string.match(lease, '/([^/ ]+)$')
  if not token then return 'stale' end
  local fields = redis.call('HGETALL', job_key(id))
  for at = 1, #fields, 2 do
    if tonumber(fields[at]) then
      local word, settled_by = string.match(fields[at + 1], '^%d+ (%a+) (%S+)')
      if settled_by == token and STATUS_AFTER[word] then return STATUS_AFTER[word] end
    end
  end
  return 'stale'
end

local function settle(id, lease, outcome, detail, extra)
  local job = job_key(id)
  local type, last_seq, policy, cancel, failure = unpack(redis.call('HMGET', job,
    'type', 'seq', 'policy', 'cancel', 'failure'))
  if not type then
    skip_reported()
    return 'stale'
  end
  local seq = store_reported(id, job, tonumber(last_seq)) + 1
  if cancel and outcome ~= 'completed' then outcome = 'cancelled' end
  local status = STATUS_AFTER[outcome]
  local event = now_text .. ' ' .. outcome .. ' ' .. string.match(lease, '[^/]*$')
  local published = nil
  if outcome == 'released' then
    local place = redis.call('HGET', job, 'place')
    redis.call('HSET', job, 'status', status, 'seq', seq, 'lease', '', seq, event)
    enqueue(type, place, id)
  elseif outcome == 'rescheduled' then
    local due = now + tonumber(extra)
    local attempt = (redis.call('HGET', job, 'attempt') or '1') + 1
    event = event .. ' ' .. attempt .. ' ' .. string.format('%.0f', due) .. ' ' .. detail
    redis.call('HSET', job, 'status', status, 'seq', seq, 'lease', '', seq, event,
      'attempt', attempt, 'due', due, 'failure', detail)
    redis.call('ZADD', prefix .. 'scheduled', due, id)
  else
    local expires = now + tonumber(string.match(policy, '%d+$'))
    event = event .. ' ' .. string.format('%.0f', expires)
    if outcome == 'completed' then
      published = event .. ' ' .. detail
      local small = #detail <= LARGEST_FIELD
      redis.call('HSET', job, 'status', status, 'seq', seq, 'lease', '', seq, event, 'expires', expires,
        small and 'result' or 'lease', small and detail or '')
      if not small then redis.call('SET', prefix .. 'result:' .. id, detail) end
      if failure then redis.call('HDEL', job, 'failure') end
    elseif outcome == 'failed' then
      event = event .. ' ' .. detail
      redis.call('HSET', job, 'status', status, 'seq', seq, 'lease', '', seq, event, 'expires', expires,
        'failure', detail)
    else
      redis.call('HSET', job, 'status', status, 'seq', seq, 'lease', '', seq, event, 'expires', expires,
        'cancel', 1)
      if failure then redis.call('HDEL', job, 'failure') end
    end
    expiring[#expiring + 1] = expires
    expiring[#expiring + 1] = id
  end
  trim_status_events(job, seq)
  publish(id, seq, published or event)
  count('processing', type, -1)
  count(status, type, 1)
  return status
end

allow_when_out_of_memory()
local verdicts = {}
local number_of_settlements = tonumber(argument())
for n = 1, number_of_settlements do
  local id, lease, outcome, detail, extra = argument(), argument(), argument(), argument(), argument()
  if redis.call('ZREM', prefix .. 'leases', id .. ' ' .. lease) == 1 then
    verdicts[n] = settle(id, lease, outcome, detail, extra)
  else
    skip_reported()
    verdicts[n] = earlier_verdict(id, lease)
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
