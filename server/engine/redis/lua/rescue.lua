-- Takes jobs back whose lease has run out: queued again at their old place, or failed when they stalled too often, or
-- cancelled where that was requested. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply rescued
-- Events rescued, stalled or cancelled
--@include base
--@include states
--@include kinds
--@include counts
--@include events
--@include trim
--@include queues
local limit = tonumber(ARGV[1])
local leases = prefix .. 'leases'
local rescued = 0

local function rescue(id)
  local job = job_prefix .. id
  local state, kind_text, born, stalls = unpack(call('HMGET', job, 'state', 'kind', 'born', 'stalls'))
  if not state then return end
  local kind = kind_of(kind_text)
  local last_seq, last_status = parse_state(state)
  local seq_number = last_seq + 1
  local seq = digits(seq_number)
  local new_stalls = (stalls or '0') + 1
  local event, status
  if last_status ~= 'cancelling' and new_stalls <= kind.most_stalls then
    status = 'queued'
    event = now_text .. ' rescued ' .. new_stalls
    call('HSET', job, 'state', seq .. ' queued', seq, event, 'stalls', new_stalls)
    enqueue(kind.type, string.match(born, ' (%d+)'), id)
  else
    local expires = digits(now + kind.retention)
    if last_status == 'cancelling' then
      status = 'cancelled'
      event = now_text .. ' cancelled - ' .. expires
      call('HSET', job, 'state', seq .. ' cancelled ' .. expires, seq, event)
    else
      status = 'failed'
      event = now_text .. ' stalled ' .. expires .. ' ' .. new_stalls
      call('HSET', job, 'state', seq .. ' failed ' .. expires, seq, event,
        'stalls', new_stalls, 'failure', 'stalled')
    end
    call('ZADD', prefix .. 'expiring', expires, id)
  end
  trim_status_events(job, seq_number)
  publish(id, seq, event)
  count('processing', kind.type, -1)
  count(status, kind.type, 1)
  rescued = rescued + 1
end

--@include out_of_memory
for _, id in ipairs(call('ZRANGEBYSCORE', leases, '-inf', now_text, 'LIMIT', 0, limit)) do
  call('ZREM', leases, id)
  rescue(id)
end
--@include idle
--@include store_queued
--@include store_counts
return rescued
