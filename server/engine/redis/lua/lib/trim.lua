-- Drops the oldest status events beyond those retained. Only a job with very many events pays for looking.
local function trim_status_events(job, last_seq)
  local MOST_STATUS_EVENTS = 1000
  if last_seq <= MOST_STATUS_EVENTS then return end
  local call = redis.call
  if call('HLEN', job) < MOST_STATUS_EVENTS then return end
  local seqs = {}
  for _, field in ipairs(call('HKEYS', job)) do
    local seq = tonumber(field)
    if seq and seq > 1 then seqs[#seqs + 1] = seq end
  end
  -- The first event is left out where it says nothing that the job does not say; empty means forgotten.
  if call('HGET', job, '1') ~= '' then seqs[#seqs + 1] = 1 end
  table.sort(seqs)
  local trimmed = tonumber(call('HGET', job, 'trimmed') or '0')
  for index = 1, #seqs - MOST_STATUS_EVENTS do
    local seq = seqs[index]
    if seq == 1 then call('HSET', job, '1', '') else call('HDEL', job, seq) end
    if seq > trimmed then trimmed = seq end
  end
  if trimmed > 0 then call('HSET', job, 'trimmed', trimmed) end
end
