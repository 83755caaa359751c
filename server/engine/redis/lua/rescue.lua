-- Takes jobs back whose lease has run out: queued again at their old place, or failed when they stalled too often, or
-- cancelled where that was requested. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply { rescued, 'whole' or 'broken': a script came to no end, and mend.lua is to be called }
-- Events rescued, stalled or cancelled
--@include transition
local limit = tonumber(ARGV[1])
local rescued = 0

local function rescue(job)
  local stalls = (call('HGET', job.key, 'stalls') or 0) + 1
  if job.status == 'cancelling' then
    change(job, 'cancelled', '- ' .. expires(job))
  elseif stalls > tonumber(job.most_stalls) then
    change(job, 'stalled', expires(job) .. ' ' .. stalls, { 'stalls', stalls, 'failure', 'stalled' })
  else
    change(job, 'rescued', stalls, { 'stalls', stalls })
  end
  rescued = rescued + 1
end

local ids = call('ZRANGEBYSCORE', prefix .. 'leases', '-inf', now_text, 'LIMIT', 0, limit)
if #ids > 0 then
  --@run whole.begin
  for _, id in ipairs(ids) do
    local job = load_job(id)
    if job and (job.status == 'processing' or job.status == 'cancelling') then
      rescue(job)
    else
      -- It is here because a script came to no end.
      leave('leases', id)
    end
  end
  --@run transition.finish
end
local is_whole = call('EXISTS', prefix .. 'whole') - call('EXISTS', prefix .. 'mending') == 1
return { rescued, is_whole and 'whole' or 'broken' }
