-- Takes jobs back whose lease has run out: queued again at their old place, or failed when they stalled too often, or
-- cancelled where that was requested. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply { rescued, 'whole' or 'broken': a script came to no end, and mend.lua is to be called }
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
  local last_seq, last_status = parse_state(state or '0 missing')
  -- Another one is here where a script came to no end.
  if last_status ~= 'processing' and last_status ~= 'cancelling' then return end
  local kind = kind_of(kind_text)
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

local ids = call('ZRANGEBYSCORE', leases, '-inf', now_text, 'LIMIT', 0, limit)
if #ids > 0 then
--@include begin
  for _, id in ipairs(ids) do rescue(id) end
  call('ZREM', leases, unpack(ids))
--@include idle
--@include store_queued
--@include store_counts
--@include finish
end
local is_whole = call('EXISTS', prefix .. 'whole') - call('EXISTS', prefix .. 'mending') == 1
return { rescued, is_whole and 'whole' or 'broken' }
