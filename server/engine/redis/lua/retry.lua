-- Puts a failed or cancelled job back at the end of its queue, as if new.
--
-- KEYS  1: prefix of the partition
-- ARGV  id
-- Reply { 'ok', row of the job (lib/read.lua) }, { 'not_found' } or { 'not_retryable' }
-- Events retried
--@include base
--@include states
--@include kinds
--@include counts
--@include events
--@include trim
--@include places
--@include queues
--@include read
local id = ARGV[1]
local job = job_prefix .. id
local state, kind_text, born = unpack(call('HMGET', job, 'state', 'kind', 'born'))
local last_seq, status = live_state(state)
if not last_seq then return { 'not_found' } end
if status ~= 'failed' and status ~= 'cancelled' then return { 'not_retryable' } end

local kind = kind_of(kind_text)
local place = next_place(kind)
local seq = last_seq + 1
local event = now_text .. ' retried'
--@include begin
call('HSET', job, 'state', digits(seq) .. ' queued', 'born', with_place(born, place), seq, event,
  'attempt', 1, 'stalls', 0, 'retried', 1)
call('HDEL', job, 'progress', 'failure')
call('ZREM', prefix .. 'expiring', id)
trim_status_events(job, seq)
publish(id, digits(seq), event)
count(status, kind.type, -1)
enqueue(kind.type, place, id)
--@include idle
--@include store_queued
--@include store_counts
--@include finish
return { 'ok', (read_job(id)) }
