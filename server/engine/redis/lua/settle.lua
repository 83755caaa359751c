-- Ends runs and claims the next jobs. Sent again with the same leases and claim ids, it answers the same and changes
-- nothing more. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of settlements, then of each: id, lease, where there are any 'reported' and its unsent
--       events (lib/runs.lua), outcome, and with
--         completed: the result (JSON)
--         failed: the failure (JSON)
--         rescheduled: the failure (JSON), delay in ms
--       number of claims, then of each: lib/claim.lua
-- Reply { statuses that the jobs took, or 'stale', with spaces in between; { reply of each claim } }
-- Events completed, failed, rescheduled, cancelled or released; claimed
--@include base
--@include counts
--@include events
--@include fence
--@include runs
--@include pools
--@include queues
--@include leases
--@include claim
local LARGEST_FIELD = 64
local STATUS_AFTER = {
  completed = 'completed', failed = 'failed', rescheduled = 'scheduled', cancelled = 'cancelled', released = 'queued',
}

local settled, expiring = {}, {}

-- Of a lease that is no longer held: the status that the job took if this very lease settled it, or 'stale'.
local function earlier_verdict(id, token)
  if token == '' then return 'stale' end
  local fields = call('HGETALL', job_key(id))
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

local function settle()
  local id, lease, outcome = next_arguments(3)
  local job = job_key(id)
  local state, kind_text = unpack(call('HMGET', job, 'state', 'kind'))
  local last_seq, last_status = run_of(state, lease)
  local token = string.match(lease, '/(.*)$') or ''
  if not last_seq then
    if outcome == 'reported' then
      skip_reported()
      outcome = argument()
    end
    outcome_arguments(outcome)
    return earlier_verdict(id, token)
  end
  local kind = kind_of(kind_text)
  local seq_number = last_seq + 1
  if outcome == 'reported' then
    seq_number = store_reported(id, job, last_seq) + 1
    outcome = argument()
  end
  local seq = digits(seq_number)
  local detail, delay = outcome_arguments(outcome)
  local cancelling = last_status == 'cancelling'
  if cancelling and outcome ~= 'completed' then outcome = 'cancelled' end
  local status = STATUS_AFTER[outcome]
  local event, result
  if outcome == 'released' then
    event = now_text .. ' released ' .. token
    call('HSET', job, 'state', seq .. ' queued', seq, event)
    enqueue(kind.type, place_in(call('HGET', job, 'born')), id)
  elseif outcome == 'rescheduled' then
    local due = digits(now + tonumber(delay))
    local attempt = digits((call('HGET', job, 'attempt') or '1') + 1)
    event = now_text .. ' rescheduled ' .. token .. ' ' .. attempt .. ' ' .. due .. ' ' .. detail
    call('HSET', job, 'state', seq .. ' scheduled ' .. due, seq, event, 'attempt', attempt, 'failure', detail)
    call('ZADD', prefix .. 'scheduled', due, id)
  else
    local expires = digits(now + kind.retention)
    local new_state = seq .. ' ' .. status .. ' ' .. expires
    event = now_text .. ' ' .. outcome .. ' ' .. token .. ' ' .. expires
    if outcome == 'completed' then
      result = detail
      if #detail <= LARGEST_FIELD then
        call('HSET', job, 'state', new_state, seq, event, 'result', detail)
      else
        call('HSET', job, 'state', new_state, seq, event)
        call('SET', prefix .. 'result:' .. id, detail)
      end
      if cancelling then call('HSET', job, 'cancel', 1) end
    elseif outcome == 'failed' then
      event = event .. ' ' .. detail
      call('HSET', job, 'state', new_state, seq, event, 'failure', detail)
    else
      call('HSET', job, 'state', new_state, seq, event)
    end
    expiring[#expiring + 1] = expires
    expiring[#expiring + 1] = id
  end
  settled[#settled + 1] = id
  trim_status_events(job, seq_number)
  publish(id, seq, event, result)
  count('processing', kind.type, -1)
  count(status, kind.type, 1)
  return status
end

allow_when_out_of_memory()
local verdicts = {}
local number_of_settlements = tonumber(argument())
for n = 1, number_of_settlements do
  verdicts[n] = settle()
end
if #settled > 0 then call('ZREM', prefix .. 'leases', unpack(settled)) end
if #expiring > 0 then call('ZADD', prefix .. 'expiring', unpack(expiring)) end
store_queued()

local claims = claim_all()
store_counts()
return { table.concat(verdicts, ' '), claims }
