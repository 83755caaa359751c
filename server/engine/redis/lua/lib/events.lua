-- A job's events. A status event is a field of the job's hash, named by its seq: `<at> <word> <details>` (codec.ts
-- lists the words). What is published is `<seq> <at> <word> <details>`.

-- What comes after the event's own text is published only: a result, which is stored in the job.
local function publish(id, seq, text, result)
  local LARGEST_MESSAGE = 65536
  local message = result and seq .. ' ' .. text .. ' ' .. result or seq .. ' ' .. text
  if #message > LARGEST_MESSAGE then message = seq .. ' ' .. now_text .. ' advance ' .. #message end
  try('PUBLISH', prefix .. 'watch:' .. id, message)
end
