-- Stores new jobs, all or none, in order. One that is alone in the call, and would be so in its queue, is handed to an idle
-- worker where there is one, and starts there without having been in line; it is answered as queued, which it was first.
-- Refused when Redis is out of memory, since its first write is refused.
--
-- KEYS  1: prefix of the partition
-- ARGV  'again' where this very call may have been carried out before, or '';
--       what is published of the jobs (messages.ts);
--       key of the idempotency record or '', where there is one followed by digest of the body, epoch, life of the record
--       in ms;
--       then of each group of jobs that are alike: kind; number of its jobs, followed where there is any by when
--       (' +<ms>' from now or ' @<ms since 1970>') and tags (' ' and JSON); and of each job: id, payload (JSON). The ids
--       of a call ascend
-- Reply `stored <now>` and the status of each group's jobs, with spaces in between
--       `replayed <record>`: the key was used with this body before
--       'mismatch': … with another body
-- Publishes one message a call on the channel `submitted`, where somebody listens, and on `due`, where a job is due before
--       all others
-- Events of each job: queued, and claimed where it is handed over, or scheduled (not published: nobody can know the job
--       yet)
--@include base
--@include counts
local arguments = ARGV
local again, record_name = arguments[1], arguments[3]
local at = 3
if record_name ~= '' then
  local record = call('GET', prefix .. 'once:' .. record_name)
  if record then
    local start = arguments[4] .. '\n'
    if string.sub(record, 1, #start) == start then return 'replayed ' .. record end
    return 'mismatch'
  end
  at = 6
end

local statuses = {}
if again ~= '' then
  local created
  local group_at = at
  while group_at < #arguments do
    local id = arguments[group_at + 3]
    local born, scheduled = unpack(call('HMGET', job_prefix .. id, 'born', '1'))
    created = created or born and string.match(born, '^%d+')
    statuses[#statuses + 1] = scheduled and 'scheduled' or 'queued'
    group_at = group_at + 2 + 2 * string.match(arguments[group_at + 2], '^%d+')
  end
  if created then return 'stored ' .. created .. ' ' .. table.concat(statuses, ' ') end
  statuses = {}
end

local order = string.format('%014d', call('HINCRBY', prefix .. 'order', 'last', 1))
-- Both are asked for in one: mostly there is neither. A worker may be idle (lib/idle.lua); somebody may listen for new jobs.
local present = call('EXISTS', prefix .. 'waiting', prefix .. 'listening')
local is_listened = present > 0 and call('EXISTS', prefix .. 'listening') == 1
local is_anybody_idle = present == 2 or present == 1 and not is_listened
--@run whole.begin
-- Nobody has submitted before: nothing can be broken.
if order == '00000000000001' then was_whole = 1 end
local receipts = {}
-- Type -> { score, id, score, id, … } of the jobs to be queued.
local queueing = {}
-- What was made before: by priority the score, and of it what an untagged job is born with.
local score_of, born_at = {}, {}
-- This is the scheduled job that is due first.
local first_due, first_due_id

local index, group_at = {}, at
while group_at < #arguments do
  local last = group_at + 2 + 2 * string.match(arguments[group_at + 2], '^%d+')
  for id_at = group_at + 3, last, 2 do
    index[#index + 1] = order
    index[#index + 1] = arguments[id_at]
  end
  group_at = last
end
call('ZADD', prefix .. 'jobs', unpack(index))

while at < #arguments do
  local kind, what = arguments[at + 1], arguments[at + 2]
  at = at + 2
  local type, priority = string.match(kind, '^(%S+) (%d)')
  local score = score_of[priority]
  if not score then
    score = 9 - priority .. order
    score_of[priority], born_at[score] = score, now_text .. ' ' .. score
  end
  local amount, due, tags = tonumber(what), 0, ''
  if not amount then
    amount, tags = string.match(what, '^(%d+)(.*)$')
    local from, time, rest = string.match(tags, '^ ([+@])(-?%d+)(.*)$')
    if from then due, tags = tonumber(time) + (from == '+' and now or 0), rest end
  end
  local born = tags == '' and born_at[score] or born_at[score] .. tags
  local status, state = 'queued', '1 queued'
  -- An event is stored where there is more to be told of the jobs than that they are queued.
  local event_seq, event, due_text
  local entries = queueing[type]
  if due > now then
    due_text = digits(due)
    if not first_due or due < first_due then first_due, first_due_id = due, arguments[at + 1] end
    status, state, event_seq, event = 'scheduled', '1 scheduled ' .. due_text, '1', now_text .. ' scheduled ' .. due_text
    count('scheduled', type, tonumber(amount))
    call('HSETNX', prefix .. 'types', type, '')
  elseif is_anybody_idle and #statuses == 0 and at + 2 == #arguments then
    local id, payload = arguments[at + 1], arguments[at + 2]
    --@run idle.hand_over
    if lease then state, event_seq, event = '2 processing ' .. lease, '2', now_text .. ' claimed' end
  end
  statuses[#statuses + 1] = status

  for _ = 1, amount do
    local id, payload = arguments[at + 1], arguments[at + 2]
    at = at + 2
    local job = job_prefix .. id
    -- A small hash is searched from its beginning: what is asked for most often comes first.
    local is_small = #payload <= $LARGEST_FIELD
    if not is_small then call('SET', prefix .. 'payload:' .. id, payload) end
    if is_small and event then
      call('HSET', job, 'state', state, 'kind', kind, 'born', born, 'payload', payload, event_seq, event)
    elseif is_small then
      call('HSET', job, 'state', state, 'kind', kind, 'born', born, 'payload', payload)
    elseif event then
      call('HSET', job, 'state', state, 'kind', kind, 'born', born, event_seq, event)
    else
      call('HSET', job, 'state', state, 'kind', kind, 'born', born)
    end
    if due_text then
      call('ZADD', prefix .. 'scheduled', due_text, id)
    elseif event then
      -- It has been handed over.
    elseif entries then
      entries[#entries + 1] = score
      entries[#entries + 1] = id
    else
      entries = { score, id }
      queueing[type] = entries
    end
    if record_name ~= '' then receipts[#receipts + 1] = id .. ' ' .. type .. ' ' .. status end
  end
end

if record_name ~= '' then
  local record = arguments[4] .. '\n' .. arguments[5] .. '\n' .. now_text .. '\n' .. table.concat(receipts, '\n')
  call('SET', prefix .. 'once:' .. record_name, record, 'PX', arguments[6])
end
--@run queue.store
--@run counts.store
--@run queue.tell_due
--@run whole.finish
if is_listened then try('PUBLISH', prefix .. 'submitted', arguments[2]) end
return 'stored ' .. now_text .. ' ' .. table.concat(statuses, ' ')
