-- Cancels a job that has not started; of a running one, requests it and tells its worker. Works when Redis is out of
-- memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  id
-- Reply { 'ok', row of the job (lib/read.lua) }, { 'not_found' } or { 'already_finished' }
-- Events cancelled, or cancelling (once)
--@include base
--@include counts
--@include events
--@include read
local id = argument()
local job = job_key(id)
local status, type, last_seq, policy, cancel, lease, expires = unpack(redis.call('HMGET', job,
  'status', 'type', 'seq', 'policy', 'cancel', 'lease', 'expires'))
if not status or is_gone(expires) then return { 'not_found' } end

local function record(event, seq)
  redis.call('HSET', job, 'seq', seq, seq, event)
  trim_status_events(job, seq)
  publish(id, seq, event)
end

local seq = last_seq + 1
if status == 'processing' then
  if not cancel then
    allow_when_out_of_memory()
    redis.call('HSET', job, 'cancel', 1)
    record(now_text .. ' cancelling', seq)
    local worker = string.match(lease, '^(.*)/')
    redis.call('PUBLISH', prefix .. 'worker:' .. worker, 'cancel ' .. id .. ' ' .. lease)
  end
elseif status == 'scheduled' or status == 'queued' then
  allow_when_out_of_memory()
  if status == 'scheduled' then
    redis.call('ZREM', prefix .. 'scheduled', id)
  else
    redis.call('ZREM', prefix .. 'queue:' .. type, id)
  end
  local expires_at = now + retention(policy)
  redis.call('HSET', job, 'status', 'cancelled', 'cancel', 1, 'expires', expires_at)
  redis.call('HDEL', job, 'due', 'failure')
  redis.call('ZADD', prefix .. 'expiring', expires_at, id)
  record(now_text .. ' cancelled - ' .. digits(expires_at), seq)
  count(status, type, -1)
  count('cancelled', type, 1)
  store_counts()
else
  return { 'already_finished' }
end
return { 'ok', (read_job(id)) }
