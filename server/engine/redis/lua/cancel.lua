-- Cancels a job that has not started; of a running one, requests it and tells its worker. Works when Redis is out of
-- memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  id
-- Reply { 'ok', row of the job (lib/read.lua) }, { 'not_found' } or { 'already_finished' }
-- Events cancelled, or cancelling (once)
--@include transition
local id = ARGV[1]
local job = load_job(id)
if not job or is_gone(job.status, job.detail) then return { 'not_found' } end

if job.status == 'processing' then
  --@run whole.begin
  change(job, 'cancelling')
  local worker = string.match(job.detail, '^(.*)/')
  try('PUBLISH', prefix .. 'worker:' .. worker, 'cancel ' .. id .. ' ' .. job.detail .. '.' .. id)
  --@run transition.finish
elseif job.status == 'scheduled' or job.status == 'queued' then
  --@run whole.begin
  change(job, 'cancelled', '- ' .. expires(job))
  --@run transition.finish
elseif job.status ~= 'cancelling' then
  return { 'already_finished' }
end
return { 'ok', (read_job(id)) }
