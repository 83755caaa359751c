-- A job's events. A status event is a field of the job's hash, named by its seq: `<at> <word> <details>` (codec.ts
-- lists the words). What is published is `<seq> <at> <word> <details>`.
--
-- Takes prefix, try, now_text.
-- Gives publish.

-- What comes after the event's own text is published only: a result, which is stored in the job.
local function publish(id, seq, text, result)
  local message = result and seq .. ' ' .. text .. ' ' .. result or seq .. ' ' .. text
  if #message > $LARGEST_MESSAGE then message = seq .. ' ' .. now_text .. ' advance ' .. #message end
  try('PUBLISH', prefix .. 'watch:' .. id, message)
end

--@part trim
-- Drops the oldest status events of a job beyond those retained. Only a job with very many events pays for looking.
--
-- Takes call, job, seq_number.
if seq_number > $RETAINED_EVENTS and call('HLEN', job) >= $RETAINED_EVENTS then
  local seqs = {}
  for _, field in ipairs(call('HKEYS', job)) do
    local field_seq = tonumber(field)
    if field_seq and field_seq > 1 then seqs[#seqs + 1] = field_seq end
  end
  -- The first event is left out where it says nothing that the job does not say; empty means forgotten.
  if call('HGET', job, '1') ~= '' then seqs[#seqs + 1] = 1 end
  table.sort(seqs)
  local trimmed = tonumber(call('HGET', job, 'trimmed') or '0')
  for index = 1, #seqs - $RETAINED_EVENTS do
    local oldest = seqs[index]
    if oldest == 1 then call('HSET', job, '1', '') else call('HDEL', job, oldest) end
    if oldest > trimmed then trimmed = oldest end
  end
  if trimmed > 0 then call('HSET', job, 'trimmed', trimmed) end
end
