-- Puts a failed or cancelled job back at the end of its queue, as if new.
--
-- KEYS  1: prefix of the partition
-- ARGV  id
-- Reply { 'ok', row of the job (lib/read.lua) }, { 'not_found' } or { 'not_retryable' }
-- Events retried
--@include transition
local id = ARGV[1]
local job = load_job(id)
if not job or is_gone(job.status, job.detail) then return { 'not_found' } end
if job.status ~= 'failed' and job.status ~= 'cancelled' then return { 'not_retryable' } end

-- Redis refuses this first write when it is out of memory, as it refuses a submission.
local born = put_last(job)
--@run whole.begin
change(job, 'retried', nil, { 'born', born, 'attempt', 1, 'stalls', 0, 'retried', 1 })
call('HDEL', job.key, 'progress', 'failure')
--@run transition.finish
return { 'ok', (read_job(id)) }
