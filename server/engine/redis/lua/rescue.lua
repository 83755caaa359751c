-- Takes jobs back whose lease has run out: queued again at their old place, or failed when they stalled too often, or
-- cancelled where that was requested. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply rescued
-- Events rescued, stalled or cancelled
--@include base
--@include counts
--@include events
--@include queues
local limit = tonumber(argument())
local leases = prefix .. 'leases'
local rescued = 0

local function rescue(id)
  local job = job_key(id)
  local type, last_seq, policy, place, stalls, cancel = unpack(redis.call('HMGET', job,
    'type', 'seq', 'policy', 'place', 'stalls', 'cancel'))
  if not type then return end
  local seq = last_seq + 1
  local new_stalls = (stalls or '0') + 1
  local most_stalls = tonumber(string.match(policy, '^%d+ %d+ (%d+)'))
  local event, status
  if not cancel and new_stalls <= most_stalls then
    status = 'queued'
    event = now_text .. ' rescued ' .. new_stalls
    redis.call('HSET', job, 'seq', seq, 'status', status, seq, event, 'stalls', new_stalls)
    enqueue(type, place, id)
  else
    local expires = now + retention(policy)
    local expires_text = digits(expires)
    if cancel then
      status = 'cancelled'
      event = now_text .. ' cancelled - ' .. expires_text
      redis.call('HSET', job, 'seq', seq, 'status', status, seq, event, 'expires', expires)
      redis.call('HDEL', job, 'failure')
    else
      status = 'failed'
      event = now_text .. ' stalled ' .. expires_text .. ' ' .. new_stalls
      redis.call('HSET', job, 'seq', seq, 'status', status, seq, event, 'expires', expires,
        'stalls', new_stalls, 'failure', 'stalled')
    end
    redis.call('ZADD', prefix .. 'expiring', expires, id)
  end
  trim_status_events(job, seq)
  publish(id, seq, event)
  count('processing', type, -1)
  count(status, type, 1)
  rescued = rescued + 1
end

allow_when_out_of_memory()
for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now_text, 'LIMIT', 0, limit)) do
  redis.call('ZREM', leases, member)
  rescue(string.match(member, '^%S+'))
end
store_counts()
store_queued()
return rescued
