-- Moves scheduled jobs whose time has come to the end of their queues. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply { promoted, ms until the next one is due or '' }
-- Events promoted
--@include base
--@include counts
--@include events
--@include queues
local limit = tonumber(argument())
local scheduled = prefix .. 'scheduled'
local due = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now_text, 'WITHSCORES', 'LIMIT', 0, limit)

-- Of those that are due together, the one that was submitted first goes first.
local jobs, ids = {}, {}
for at = 1, #due, 2 do ids[#ids + 1] = due[at] end
if #ids > 0 then
  local orders = redis.call('ZMSCORE', prefix .. 'jobs', unpack(ids))
  for n, id in ipairs(ids) do
    jobs[n] = { id = id, due = tonumber(due[2 * n]), order = tonumber(orders[n] or '0') }
  end
  table.sort(jobs, function(one, other)
    if one.due ~= other.due then return one.due < other.due end
    return one.order < other.order
  end)
  redis.call('ZREM', scheduled, unpack(ids))
end

local promoted = 0
for _, entry in ipairs(jobs) do
  local id = entry.id
  local job = job_key(id)
  local type, last_seq, policy = unpack(redis.call('HMGET', job, 'type', 'seq', 'policy'))
  if type then
    local place = place_of(policy, next_orders(1))
    local seq = last_seq + 1
    local event = now_text .. ' promoted'
    redis.call('HSET', job, 'status', 'queued', 'seq', seq, 'place', place, seq, event)
    redis.call('HDEL', job, 'due')
    trim_status_events(job, seq)
    publish(id, seq, event)
    count('scheduled', type, -1)
    enqueue(type, place, id)
    promoted = promoted + 1
  end
end
store_counts()
store_queued()

local next_due = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
return { promoted, next_due and math.max(0, tonumber(next_due) - now) or '' }
