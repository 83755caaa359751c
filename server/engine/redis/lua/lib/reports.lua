-- What a run reports. Arguments: number of events, then number within the run (0: none), kind and data of each.
-- Runs in place, after `arguments` and `at`, the last one taken, with `id` and `job`: stores and publishes the events
-- after `last_seq`, which becomes the seq of the last one; where it is nil they are passed over. What the job already has of
-- the run (`reported`: the number of the last one) is skipped. Of progress only the latest stays.
local number_of_events = tonumber(arguments[at + 1])
local first_event = at + 2
at = at + 1 + 3 * number_of_events
if last_seq and number_of_events > 0 then
  local MOST_LINES = 1000
  local MOST_LINE_BYTES = 4194304
  local reported = tonumber(call('HGET', job, 'reported') or '0')
  local progress
  local lines, line_bytes = {}, 0
  for event_at = first_event, at, 3 do
    local number, kind, data = tonumber(arguments[event_at]), arguments[event_at + 1], arguments[event_at + 2]
    if number == 0 or number > reported then
      if number > 0 then reported = number end
      last_seq = last_seq + 1
      local text = now_text .. ' ' .. kind .. ' ' .. data
      if kind == 'progress' then
        progress = last_seq .. ' ' .. now_text .. ' ' .. data
      else
        lines[#lines + 1] = last_seq .. ' ' .. text
        line_bytes = line_bytes + #data
      end
      publish(id, last_seq, text)
    end
  end
  if reported > 0 then call('HSET', job, 'reported', reported) end
  if progress then call('HSET', job, 'progress', progress) end
  if #lines > 0 then
    local key = prefix .. 'lines:' .. id
    local length
    for first = 1, #lines, 1000 do
      length = call('RPUSH', key, unpack(lines, first, math.min(first + 999, #lines)))
    end
    local bytes, forgotten = tonumber(call('HGET', job, 'bytes') or '0') + line_bytes, 0
    while length > MOST_LINES or bytes > MOST_LINE_BYTES do
      local dropped = call('LPOP', key)
      local _, header, seq = string.find(dropped, '^(%d+) %d+ %a+ ')
      length = length - 1
      bytes = bytes - (#dropped - header)
      forgotten = tonumber(seq)
    end
    if forgotten > tonumber(call('HGET', job, 'trimmed') or '0') then call('HSET', job, 'trimmed', forgotten) end
    call('HSET', job, 'bytes', bytes)
  end
end
