-- Reads jobs and their retained events, each as it is at one moment. A reply stays near 1 MiB: what would go beyond is
-- left out and has to be asked for again, and what is large is asked for by itself.
--
-- KEYS  1: prefix of the partition
-- ARGV  'large' where a row may be large, or ''; number of requests, then of each: id, after (seq of the last event
--       applied; '' for a snapshot), 'history' or '' (with a snapshot, the events up to it as well), 'job' or '' (payload and
--       result with a resume)
-- Reply { row of each (lib/read.lua), extended by its retained log lines and chunks and 'snapshot' or 'resume';
--       'missing'; 'large'; or 'later' }
-- Events none
--@include base
--@include read
local LARGEST_REPLY = 1048576

local bytes = 0
local rows = {}
local arguments, at = ARGV, 2
local may_be_large = arguments[1] == 'large'
for n = 1, tonumber(arguments[2]) do
  local id, after, history, with_job = arguments[at + 1], arguments[at + 2], arguments[at + 3], arguments[at + 4]
  at = at + 4
  if bytes > LARGEST_REPLY then
    rows[n] = 'later'
  else
    local row, has, seq, status = read_job(id)
    if row then
      local trimmed = tonumber(has.trimmed or '0')
      local known = tonumber(after)
      local snapshot = not known or known > seq or known < trimmed
      if not snapshot and with_job == '' and not (known < seq and status == 'completed') then
        row[2], row[3] = '', ''
      end
      local lines = {}
      if has.bytes and (not snapshot or history ~= '') then
        local newer = snapshot and seq or seq - known
        if newer > 0 then lines = call('LRANGE', prefix .. 'lines:' .. id, -newer, -1) end
      end
      local size = #row[2] + #row[3] + (#lines > 0 and tonumber(has.bytes) or 0)
      row[4], row[5] = lines, snapshot and 'snapshot' or 'resume'
      if size > $LARGE and not may_be_large then
        rows[n] = 'large'
      else
        bytes = bytes + size
        rows[n] = row
      end
    else
      rows[n] = 'missing'
    end
  end
end
return rows
