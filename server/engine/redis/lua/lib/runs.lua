-- What a run reports. Arguments: number of events, then kind and data of each.
local MOST_LINES = 1000
local MOST_LINE_BYTES = 4194304

local function skip_reported()
  local number_of_events = tonumber(argument())
  last_argument = last_argument + 2 * number_of_events
end

local function trim_lines(id, job, length, bytes)
  local lines = prefix .. 'lines:' .. id
  while length > MOST_LINES or bytes > MOST_LINE_BYTES do
    local dropped = redis.call('LPOP', lines)
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
  local progress
  local lines, line_bytes = {}, 0
  for _ = 1, number_of_events do
    local kind, data = argument(), argument()
    seq = seq + 1
    if kind == 'progress' then
      progress = seq .. ' ' .. now_text .. ' ' .. data
    else
      lines[#lines + 1] = seq .. ' ' .. now_text .. ' ' .. kind .. ' ' .. data
      line_bytes = line_bytes + #data
    end
    publish(id, seq, now_text .. ' ' .. kind .. ' ' .. data)
  end
  if progress then redis.call('HSET', job, 'progress', progress) end
  if #lines > 0 then
    local length
    for first = 1, #lines, 1000 do
      length = redis.call('RPUSH', prefix .. 'lines:' .. id, unpack(lines, first, math.min(first + 999, #lines)))
    end
    local bytes = tonumber(redis.call('HGET', job, 'bytes') or '0') + line_bytes
    redis.call('HSET', job, 'bytes', trim_lines(id, job, length, bytes))
  end
  return seq
end
