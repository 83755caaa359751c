-- A job's events. A status event is a field of the job's hash, named by its seq: `<at> <word> <details>` (codec.ts
-- lists the words). What is published is `<seq> <at> <word> <details>`.
local LARGEST_MESSAGE = 65536
local MOST_STATUS_EVENTS = 1000

local watch_prefix = prefix .. 'watch:'

-- What comes after the event's own text is published only: a result, which is stored in the job.
local function publish(id, seq, text, result)
  local message = result and seq .. ' ' .. text .. ' ' .. result or seq .. ' ' .. text
  if #message > LARGEST_MESSAGE then message = seq .. ' ' .. now_text .. ' advance ' .. #message end
  call('PUBLISH', watch_prefix .. id, message)
end

local function forgot_event(job, seq)
  local trimmed = tonumber(call('HGET', job, 'trimmed') or '0')
  if seq > trimmed then call('HSET', job, 'trimmed', seq) end
end

-- Drops the oldest status events beyond those retained. Only a job with very many events pays for looking.
local function trim_status_events(job, last_seq)
  if last_seq <= MOST_STATUS_EVENTS then return end
  if call('HLEN', job) < MOST_STATUS_EVENTS then return end
  local seqs = {}
  for _, field in ipairs(call('HKEYS', job)) do
    local seq = tonumber(field)
    if seq and seq > 1 then seqs[#seqs + 1] = seq end
  end
  -- The first event is left out where it says nothing that the job does not say; empty means forgotten.
  if call('HGET', job, '1') ~= '' then seqs[#seqs + 1] = 1 end
  table.sort(seqs)
  for index = 1, #seqs - MOST_STATUS_EVENTS do
    local seq = seqs[index]
    if seq == 1 then call('HSET', job, '1', '') else call('HDEL', job, seq) end
    forgot_event(job, seq)
  end
end
