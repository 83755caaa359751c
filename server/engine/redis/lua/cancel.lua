-- Cancels a job that has not started; of a running one, requests it and tells its worker. Works when Redis is out of
-- memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  id
-- Reply { 'ok', row of the job (lib/read.lua) }, { 'not_found' } or { 'already_finished' }
-- Events cancelled, or cancelling (once)
--@include base
--@include states
--@include kinds
--@include counts
--@include events
--@include trim
--@include read
local id = ARGV[1]
local job = job_prefix .. id
local state, kind_text = unpack(call('HMGET', job, 'state', 'kind'))
local last_seq, status, detail = live_state(state)
if not last_seq then return { 'not_found' } end

local seq = last_seq + 1
local function record(new_state, event)
  call('HSET', job, 'state', digits(seq) .. new_state, seq, event)
  trim_status_events(job, seq)
  publish(id, digits(seq), event)
end

if status == 'processing' then
--@include out_of_memory
  record(' cancelling ' .. detail, now_text .. ' cancelling')
  local worker = string.match(detail, '^(.*)/')
  try('PUBLISH', prefix .. 'worker:' .. worker, 'cancel ' .. id .. ' ' .. detail .. '.' .. id)
elseif status == 'scheduled' or status == 'queued' then
--@include begin
  local kind = kind_of(kind_text)
  if status == 'scheduled' then
    call('ZREM', prefix .. 'scheduled', id)
  else
    call('ZREM', prefix .. 'queue:' .. kind.type, id)
  end
  local expires = digits(now + kind.retention)
  call('ZADD', prefix .. 'expiring', expires, id)
  record(' cancelled ' .. expires, now_text .. ' cancelled - ' .. expires)
  count(status, kind.type, -1)
  count('cancelled', kind.type, 1)
--@include store_counts
--@include finish
elseif status ~= 'cancelling' then
  return { 'already_finished' }
end
return { 'ok', (read_job(id)) }
