-- Appends what runs report. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of reports, then of each: id, lease, its events (lib/report.lua)
-- Reply { 'ok' or 'stale' of each }
-- Events progress, log, chunk
--@include base
--@include state
--@include events
--@run whole.free_first
local arguments, at = ARGV, 1
local verdicts = {}
for n = 1, tonumber(arguments[1]) do
  local id, lease = arguments[at + 1], arguments[at + 2]
  at = at + 2
  local job = job_prefix .. id
  local last_seq, last_status = run_of(call('HGET', job, 'state'), lease)
  local report
  --@run report.prepare
  if report then
    call('HSET', job, 'state', digits(last_seq) .. ' ' .. last_status .. ' ' .. lease)
    --@run report.store
  end
  verdicts[n] = last_seq and 'ok' or 'stale'
end
return verdicts
