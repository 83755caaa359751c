-- Stores and publishes the events in `report` (lib/reports.lua) of the job `id`. Their seqs are the job's already, so that no
-- other event ever has one of them; how far the run has reported comes last, so that a report that is sent again for want
-- of an answer is stored twice rather than not at all.
do
  local MOST_LINES = 1000
  local MOST_LINE_BYTES = 4194304
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
    while length > 0 and (length > MOST_LINES or bytes > MOST_LINE_BYTES) do
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
