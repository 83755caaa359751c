-- Takes what a run reports. Arguments: number of events, then number within the run (0: none), kind and data of each.
-- Runs in place, after `arguments` and `at`, the last one taken, with `job`: prepares the events after `last_seq`, which
-- becomes the seq of the last one, in `report` (nil where there is nothing new). Where `last_seq` is nil they are passed over.
-- What the job already has of the run (`reported`: the number of the last one) is skipped. Once the job's state has this
-- seq, lib/store_report.lua stores them.
local number_of_events = tonumber(arguments[at + 1])
local first_event = at + 2
at = at + 1 + 3 * number_of_events
if last_seq and number_of_events > 0 then
  local reported, bytes, trimmed = unpack(call('HMGET', job, 'reported', 'bytes', 'trimmed'))
  reported = tonumber(reported or '0')
  local first_seq = last_seq + 1
  local texts, lines = {}, {}
  local progress
  bytes = tonumber(bytes or '0')
  for event_at = first_event, at, 3 do
    local number, kind, data = tonumber(arguments[event_at]), arguments[event_at + 1], arguments[event_at + 2]
    if number == 0 or number > reported then
      if number > 0 then reported = number end
      last_seq = last_seq + 1
      local text = now_text .. ' ' .. kind .. ' ' .. data
      texts[#texts + 1] = text
      -- Of progress only the latest stays.
      if kind == 'progress' then
        progress = last_seq .. ' ' .. now_text .. ' ' .. data
      else
        lines[#lines + 1] = last_seq .. ' ' .. text
        bytes = bytes + #data
      end
    end
  end
  if #texts > 0 then
    report = {
      first_seq = first_seq, texts = texts, lines = lines, progress = progress,
      reported = reported, bytes = bytes, trimmed = tonumber(trimmed or '0'),
    }
  end
end
