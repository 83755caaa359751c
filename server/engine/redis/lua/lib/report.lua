-- What a run reports. Its events are prepared, then the job's state is given the seq of the last one, then they are
-- stored, so that no other event ever has one of their seqs.

--@part prepare
-- Arguments, from behind `at`: number of events, then number within the run (0: none), kind and data of each. Prepares in
-- `report` the events after `last_seq`, which becomes the seq of the last one (nil where there is nothing new). Where
-- `last_seq` is nil they are passed over. What the job already has of the run (`reported`: the number of the last one) is
-- skipped.
--
-- Takes call, now_text, arguments, at, job, last_seq, report.
-- Gives at, last_seq, report.
do
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
        -- Only the latest progress stays.
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
end

--@part store
-- Stores and publishes the events in `report` of the job `id`. How far the run has reported comes last, so that a report
-- that is sent again for want of an answer is stored twice rather than not at all.
--
-- Takes call, prefix, digits, publish, id, job, report.
do
  local fields = {}
  if report.reported > 0 then
    fields[1], fields[2] = 'reported', digits(report.reported)
  end
  if report.progress then
    fields[#fields + 1] = 'progress'
    fields[#fields + 1] = report.progress
  end
  local lines = report.lines
  if #lines > 0 then
    local key = prefix .. 'lines:' .. id
    local bytes, length, forgotten = report.bytes, 0, 0
    for first = 1, #lines, 1000 do
      length = call('RPUSH', key, unpack(lines, first, math.min(first + 999, #lines)))
    end
    while length > 0 and (length > $RETAINED_EVENTS or bytes > $RETAINED_BYTES) do
      local dropped = call('LPOP', key)
      local _, header, seq = string.find(dropped, '^(%d+) %d+ %a+ ')
      length = length - 1
      bytes = bytes - (#dropped - header)
      forgotten = tonumber(seq)
    end
    fields[#fields + 1] = 'bytes'
    fields[#fields + 1] = digits(bytes)
    if forgotten > report.trimmed then
      fields[#fields + 1] = 'trimmed'
      fields[#fields + 1] = digits(forgotten)
    end
  end
  if #fields > 0 then call('HSET', job, unpack(fields)) end
  for n, text in ipairs(report.texts) do publish(id, digits(report.first_seq + n - 1), text) end
end
