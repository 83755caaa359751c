-- Appends what runs report. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  number of reports, then of each: id, lease, its events (lib/runs.lua)
-- Reply { 'ok' or 'stale' of each }
-- Events progress, log, chunk
--@include base
--@include events
--@include fence
--@include runs
allow_when_out_of_memory()
local verdicts = {}
local number_of_reports = tonumber(argument())
for n = 1, number_of_reports do
  local id, lease = argument(), argument()
  local job = job_key(id)
  local state = call('HGET', job, 'state')
  local seq, status = run_of(state, lease)
  if seq then
    local last_seq = store_reported(id, job, seq)
    call('HSET', job, 'state', digits(last_seq) .. ' ' .. status .. ' ' .. lease)
    verdicts[n] = 'ok'
  else
    skip_reported()
    verdicts[n] = 'stale'
  end
end
return verdicts
