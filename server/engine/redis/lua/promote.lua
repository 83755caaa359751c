-- Moves scheduled jobs whose time has come to the end of their queues. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply { promoted, ms until the next one is due or '' }
-- Events promoted
--@include transition
local limit = tonumber(ARGV[1])
local scheduled = prefix .. 'scheduled'
local due = call('ZRANGEBYSCORE', scheduled, '-inf', now_text, 'WITHSCORES', 'LIMIT', 0, limit)

local promoted = 0
if #due > 0 then
  --@run whole.begin
  -- Of those that are due together, the one that was submitted first goes first.
  local entries, ids = {}, {}
  for at = 1, #due, 2 do ids[#ids + 1] = due[at] end
  local orders = call('ZMSCORE', prefix .. 'jobs', unpack(ids))
  for n, id in ipairs(ids) do
    entries[n] = { id = id, due = tonumber(due[2 * n]), order = tonumber(orders[n] or '0') }
  end
  table.sort(entries, function(one, other)
    if one.due ~= other.due then return one.due < other.due end
    if one.order ~= other.order then return one.order < other.order end
    return one.id < other.id
  end)

  for _, entry in ipairs(entries) do
    local job = load_job(entry.id)
    if job and job.status == 'scheduled' then
      change(job, 'promoted', nil, { 'born', put_last(job) })
      promoted = promoted + 1
    else
      -- It is here because a script came to no end.
      leave('scheduled', entry.id)
    end
  end
  --@run transition.finish
end

local next_due = call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
return { promoted, next_due and math.max(0, tonumber(next_due) - now) or '' }
