-- Puts a failed or cancelled job back at the end of its queue, as if new.
--
-- KEYS  1: prefix of the partition
-- ARGV  id
-- Reply { 'ok', row of the job (lib/read.lua) }, { 'not_found' } or { 'not_retryable' }
-- Events retried
--@include base
--@include counts
--@include events
--@include queues
--@include read
local id = argument()
local job = job_key(id)
local status, type, last_seq, policy, expires = unpack(redis.call('HMGET', job,
  'status', 'type', 'seq', 'policy', 'expires'))
if not status or is_gone(expires) then return { 'not_found' } end
if status ~= 'failed' and status ~= 'cancelled' then return { 'not_retryable' } end

local place = place_of(policy, next_orders(1))
local seq = last_seq + 1
local event = now_text .. ' retried'
redis.call('HDEL', job, 'attempt', 'stalls', 'cancel', 'progress', 'failure', 'expires')
redis.call('HSET', job, 'status', 'queued', 'seq', seq, 'place', place, seq, event, 'retried', 1)
redis.call('ZREM', prefix .. 'expiring', id)
trim_status_events(job, seq)
publish(id, seq, event)
count(status, type, -1)
store_counts()
enqueue(type, place, id)
store_queued()
return { 'ok', (read_job(id)) }
