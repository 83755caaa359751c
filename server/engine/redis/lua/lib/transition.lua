-- Takes jobs from one status to the next, for scripts that are rare: the state and its event, who is told, what is
-- counted, and where the job then stands. The scripts that every job goes through (submit, claim, settle) write theirs out
-- in place. A script loads jobs, begins (lib/whole.lua), changes them, and runs `finish`, which stores what the changes
-- have in common.
--
-- Gives load_job, expires, set_of, put_last, leave, enqueue, change, forget, leaving, expiring, queueing, STATUS_AFTER.
--@include base
--@include state
--@include read
--@include counts
--@include events
-- What is stored at the end: set -> ids that leave it; { time, id, … } of those that expire; type -> { score, id, … } of
-- those that are queued.
local leaving, expiring, queueing = {}, {}, {}
local STATUS_AFTER = $STATUS_AFTER

-- Returns a job as it can be changed; nil where there is none.
local function load_job(id)
  local key = job_prefix .. id
  local state, kind, born = unpack(call('HMGET', key, 'state', 'kind', 'born'))
  if not state then return nil end
  local seq, status, detail = parse_state(state)
  local type, priority, most_stalls, retention = string.match(kind, '^(%S+) (%d) (%d+) (%d+)')
  return {
    id = id, key = key, seq = seq, status = status, detail = detail,
    type = type, priority = priority, most_stalls = most_stalls, retention = retention, born = born,
  }
end

-- Returns until when a job is kept that ends now.
local function expires(job)
  return digits(now + job.retention)
end

-- Returns the sorted set that a job of this status is in.
local function set_of(status, type)
  if status == 'queued' then return 'queue:' .. type end
  if status == 'scheduled' then return 'scheduled' end
  return TERMINAL[status] and 'expiring' or 'leases'
end

local function leave(set, id)
  local ids = leaving[set] or {}
  leaving[set] = ids
  ids[#ids + 1] = id
end

-- Queues a job with its old score, unless it was put last.
local function enqueue(job)
  local entries = queueing[job.type] or {}
  queueing[job.type] = entries
  entries[#entries + 1] = job.score or string.match(job.born, ' (%d+)')
  entries[#entries + 1] = job.id
end

-- Gives a job that is to be queued the end of its line; returns its `born` with that.
local function put_last(job)
  job.score = digits(9 - job.priority) .. string.format('%014d', call('HINCRBY', prefix .. 'order', 'last', 1))
  return (string.gsub(job.born, ' %d+', ' ' .. job.score, 1))
end

-- Takes a job to the status that an event of this word brings: queued, cancelling or a terminal one. `details`: what stands behind the word, nil for nothing;
-- `fields`: { field, value, … } of the job that change as well, nil for none.
local function change(loaded, word, details, fields)
  local id, job, type, from, to = loaded.id, loaded.key, loaded.type, loaded.status, STATUS_AFTER[word]
  local seq_number = loaded.seq + 1
  local seq = digits(seq_number)
  local state = seq .. ' ' .. to
  if to == 'cancelling' then
    -- It runs on, under its lease.
    state = state .. ' ' .. loaded.detail
  else
    leave(set_of(from, type), id)
    count(from == 'cancelling' and 'processing' or from, type, -1)
    if to == 'queued' then
      enqueue(loaded)
    else
      count(to, type, 1)
      local time = expires(loaded)
      state = state .. ' ' .. time
      expiring[#expiring + 1] = time
      expiring[#expiring + 1] = id
    end
  end
  local event = now_text .. ' ' .. word
  if details then event = event .. ' ' .. details end
  call('HSET', job, 'state', state, seq, event, unpack(fields or {}))
  --@run events.trim
  publish(id, seq, event)
end

-- Forgets a terminal job with everything that belongs to it, and tells whoever watches it why. `job` is nil where only
-- something of it is left. Its id goes last, so that what is left is found.
local function forget(id, job, reason)
  if job then count(job.status, job.type, -1) end
  call('DEL', job_prefix .. id, prefix .. 'payload:' .. id, prefix .. 'result:' .. id, prefix .. 'lines:' .. id)
  call('ZREM', prefix .. 'expiring', id)
  call('ZREM', prefix .. 'jobs', id)
  if job then try('PUBLISH', prefix .. 'watch:' .. id, 'gone ' .. reason) end
end

--@part store
-- Puts the changed jobs where their new status wants them.
--
-- Takes call, prefix, try, clock, leaving, expiring, queueing.
for set, ids in pairs(leaving) do call('ZREM', prefix .. set, unpack(ids)) end
if #expiring > 0 then call('ZADD', prefix .. 'expiring', unpack(expiring)) end
if next(queueing) then
  local is_anybody_idle = call('EXISTS', prefix .. 'waiting') == 1
  --@run queue.store
end

--@part finish
-- Stores all that changes have collected; the script has written everything with that.
--
-- Takes call, prefix, try, clock, digits, leaving, expiring, queueing, run_changes, count_changes, was_whole.
--@run transition.store
--@run counts.store
--@run whole.finish
