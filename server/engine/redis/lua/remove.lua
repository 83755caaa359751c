-- Forgets a terminal job at once.
--
-- KEYS  1: prefix of the partition
-- ARGV  id
-- Reply 'removed', 'not_found' or 'not_finished'
-- Events none; publishes `gone removed`
--@include transition
local id = ARGV[1]
local job = load_job(id)
if not job or is_gone(job.status, job.detail) then return 'not_found' end
if not TERMINAL[job.status] then return 'not_finished' end
--@run whole.begin
forget(id, job, 'removed')
--@run transition.finish
return 'removed'
