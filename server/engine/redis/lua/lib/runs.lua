-- What a run reports. Arguments: number of events, then number within the run (0: none), kind and data of each. What
-- the job already has of the run (`reported`: the number of the last one) is skipped.
local MOST_LINES = 1000
local MOST_LINE_BYTES = 4194304

local function skip_reported()
  local number_of_events = tonumber(argument())
  last_argument = last_argument + 3 * number_of_events
end

local function trim_lines(id, job, length, bytes)
  local lines = prefix .. 'lines:' .. id
  while length > MOST_LINES or bytes > MOST_LINE_BYTES do
    local dropped = call('LPOP', lines)
    local _, header, seq = string.find(dropped, '^(%d+) %d+ %a+ ')
    length = length - 1
    bytes = bytes - (#dropped - header)
    forgot_event(job, tonumber(seq))
  end
  return bytes
end

-- Stores and publishes the events after `seq`; returns the seq of the last one. Of progress only the latest stays.
local function store_reported(id, job, seq)
  local number_of_events = tonumber(argument())
  if number_of_events == 0 then return seq end
  local reported = tonumber(call('HGET', job, 'reported') or '0')
  local progress
  local lines, line_bytes = {}, 0
  for _ = 1, number_of_events do
    local n, kind, data = tonumber(argument()), argument(), argument()
    if n == 0 or n > reported then
      if n > 0 then reported = n end
      seq = seq + 1
      if kind == 'progress' then
        progress = seq .. ' ' .. now_text .. ' ' .. data
      else
        lines[#lines + 1] = seq .. ' ' .. now_text .. ' ' .. kind .. ' ' .. data
        line_bytes = line_bytes + #data
      end
      publish(id, seq, now_text .. ' ' .. kind .. ' ' .. data)
    end
  end
  if reported > 0 then call('HSET', job, 'reported', reported) end
  if progress then call('HSET', job, 'progress', progress) end
  if #lines > 0 then
    local length
    for first = 1, #lines, 1000 do
      length = call('RPUSH', prefix .. 'lines:' .. id, unpack(lines, first, math.min(first + 999, #lines)))
    end
    local bytes = tonumber(call('HGET', job, 'bytes') or '0') + line_bytes
    call('HSET', job, 'bytes', trim_lines(id, job, length, bytes))
  end
  return seq
end
