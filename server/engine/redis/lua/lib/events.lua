-- A job's events. A status event is a field of the job's hash, named by its seq: `<at> <word> <details>` (codec.ts
-- lists the words). What is published is `<seq> <at> <word> <details>`.
local LARGEST_MESSAGE = 65536
local MOST_STATUS_EVENTS = 1000

local function publish(id, seq, text)
  if #text > LARGEST_MESSAGE then text = now_text .. ' advance ' .. #text end
  redis.call('PUBLISH', prefix .. 'watch:' .. id, seq .. ' ' .. text)
end

local function forgot_event(job, seq)
  local trimmed = tonumber(redis.call('HGET', job, 'trimmed') or '0')
  if seq > trimmed then redis.call('HSET', job, 'trimmed', seq) end
end

-- Drops the oldest status events beyond those retained. Only a job with very many events pays for looking.
local function trim_status_events(job, last_seq)
  if last_seq <= MOST_STATUS_EVENTS then return end
  if redis.call('HLEN', job) < MOST_STATUS_EVENTS then return end
  local seqs = {}
  for _, field in ipairs(redis.call('HKEYS', job)) do
    local seq = tonumber(field)
    if seq and seq > 1 then seqs[#seqs + 1] = seq end
  end
  -- The first event is left out where it says nothing that the job does not say; empty means forgotten.
  if redis.call('HGET', job, '1') ~= '' then seqs[#seqs + 1] = 1 end
  table.sort(seqs)
  for index = 1, #seqs - MOST_STATUS_EVENTS do
    local seq = seqs[index]
    if seq == 1 then redis.call('HSET', job, '1', '') else redis.call('HDEL', job, seq) end
    forgot_event(job, seq)
  end
end
