-- Ends runs and claims the next jobs. Sent again with the same leases and claim ids, it answers the same and changes
-- nothing more. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of settlements, then of each: id, lease (or '' for that of the one before), where there are any 'reported'
--       and its unsent events (lib/report.lua), outcome, and with
--         completed: the result (JSON)
--         failed: the failure (JSON)
--         rescheduled: the failure (JSON), delay in ms
--         later: delay in ms
--       number of claims, then of each: lib/claims.lua
-- Reply { statuses that the jobs took, or 'stale', with spaces in between; what lib/claims.lua says of each claim }
-- Publishes on `due`, where a job is put off and is due before all others
-- Events completed, failed, rescheduled, scheduled (later), cancelled or released; claimed
--@include base
--@include state
--@include counts
--@include events
--@run whole.begin
local arguments, at = ARGV, 1

local verdicts, settled, expiring = {}, {}, {}
-- Type -> { score, id, score, id, … } of the jobs to be queued.
local queueing = {}
-- These follow from the kind of the job at hand: its type, for how long its jobs are kept, and until when. Most jobs follow
-- one of their kind.
local last_kind, type, retention, expires
-- These are the state and event of a first run's completion, where those of the job before were the same.
local completed_state, completed_event
-- This is the job that is due first among those that are put off.
local first_due, first_due_id
-- These are of the settlement at hand: its lease, the token of that, and the state of a first run that has reported nothing.
local lease, token, first_state

for n = 1, arguments[1] do
  local id, outcome = arguments[at + 1], arguments[at + 3]
  if arguments[at + 2] ~= '' then
    lease = arguments[at + 2]
    token = string.match(lease, '/(.*)$') or ''
    first_state = '2 processing ' .. lease
    completed_state = nil
  end
  at = at + 3
  local job = job_prefix .. id
  local state, kind = unpack(call('HMGET', job, 'state', 'kind'))
  -- Nearly always it is that first run. Comparing takes less than taking apart.
  local last_seq, last_status = 2, 'processing'
  if state ~= first_state then last_seq, last_status = run_of(state, lease) end
  local report
  if outcome == 'reported' then
    --@run report.prepare
    outcome = arguments[at + 1]
    at = at + 1
  end
  local detail, delay
  if outcome == 'completed' or outcome == 'failed' or outcome == 'rescheduled' then
    detail = arguments[at + 1]
    at = at + 1
  end
  if outcome == 'rescheduled' or outcome == 'later' then
    delay = arguments[at + 1]
    at = at + 1
  end

  if not last_seq then
    -- The answer is what the job became if this very lease settled it.
    verdicts[n] = 'stale'
    local STATUS_AFTER = $STATUS_AFTER
    local fields = token ~= '' and call('HGETALL', job) or {}
    for field = 1, #fields, 2 do
      local word, settled_by, next_word = string.match(fields[field + 1], '^%d+ (%a+) (%S+) ?(%S*)')
      if word == 'scheduled' then settled_by = next_word end
      if tonumber(fields[field]) and settled_by == token then verdicts[n] = STATUS_AFTER[word] or 'stale' end
    end
  else
    if kind ~= last_kind then
      local last_retention = retention
      type, retention = string.match(kind, '^(%S+) %d %d+ (%d+)')
      if retention ~= last_retention then
        expires = digits(now + retention)
        completed_state = nil
      end
      last_kind = kind
    end
    local seq_number = last_seq + 1
    local seq = seq_number == 3 and '3' or digits(seq_number)
    local cancelling = last_status == 'cancelling'
    if cancelling and outcome ~= 'completed' then outcome = 'cancelled' end
    local status, event, result
    if outcome == 'released' then
      status = 'queued'
      event = now_text .. ' released ' .. token
      call('HSET', job, 'state', seq .. ' queued', seq, event)
      local entries = queueing[type] or {}
      queueing[type] = entries
      entries[#entries + 1] = string.match(call('HGET', job, 'born'), ' (%d+)')
      entries[#entries + 1] = id
    elseif outcome == 'rescheduled' then
      status = 'scheduled'
      local due = digits(now + delay)
      local attempt = digits((call('HGET', job, 'attempt') or '1') + 1)
      event = now_text .. ' rescheduled ' .. token .. ' ' .. attempt .. ' ' .. due .. ' ' .. detail
      call('HSET', job, 'state', seq .. ' scheduled ' .. due, seq, event, 'attempt', attempt, 'failure', detail)
      call('ZADD', prefix .. 'scheduled', due, id)
      if not first_due or now + delay < first_due then first_due, first_due_id = now + delay, id end
    elseif outcome == 'later' then
      status = 'scheduled'
      local due = digits(now + delay)
      event = now_text .. ' scheduled ' .. due .. ' ' .. token
      -- Written out, so that the next claim knows that the job did not wait since its submission (lib/claims.lua).
      local attempt = call('HGET', job, 'attempt') or '1'
      call('HSET', job, 'state', seq .. ' scheduled ' .. due, seq, event, 'attempt', attempt)
      call('ZADD', prefix .. 'scheduled', due, id)
      if not first_due or now + delay < first_due then first_due, first_due_id = now + delay, id end
    else
      status = outcome
      local new_state = completed_state
      event = completed_event
      if not new_state or seq_number ~= 3 or outcome ~= 'completed' then
        new_state = seq .. ' ' .. status .. ' ' .. expires
        event = now_text .. ' ' .. outcome .. ' ' .. token .. ' ' .. expires
        if seq_number == 3 and outcome == 'completed' then completed_state, completed_event = new_state, event end
      end
      if outcome == 'completed' then
        result = detail
        if cancelling then call('HSET', job, 'cancel', 1) end
        if #detail <= $LARGEST_FIELD then
          call('HSET', job, 'state', new_state, seq, event, 'result', detail)
        else
          call('SET', prefix .. 'result:' .. id, detail)
          call('HSET', job, 'state', new_state, seq, event)
        end
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
    --@run events.trim
    if report then
      --@run report.store
    end
    publish(id, seq, event, result)
    count('processing', type, -1)
    count(status, type, 1)
    verdicts[n] = status
  end
end
if #settled > 0 then call('ZREM', prefix .. 'leases', unpack(settled)) end
if #expiring > 0 then call('ZADD', prefix .. 'expiring', unpack(expiring)) end
if next(queueing) then
  local is_anybody_idle = call('EXISTS', prefix .. 'waiting') == 1
  --@run queue.store
end
local reply = { table.concat(verdicts, ' ') }
--@run claims.claims
--@run counts.store
--@run queue.tell_due
--@run whole.finish
return reply
