-- Stores new jobs, all or none, in order. Refused when Redis is out of memory, since its first write is refused.
--
-- KEYS  1: prefix of the partition
-- ARGV  key of the idempotency record or '', digest of the body, epoch, life of the record in ms;
--       'again' where this very call may have been carried out before, number of jobs, then of each: id, type, policy, payload (JSON), tags (JSON or ''),
--       when: '' (now), '+<ms>' (from now) or '@<ms since 1970>'
-- Reply { 'stored', now, { status of each job } }
--       { 'replayed', record }: the key was used with this body before
--       { 'mismatch' }: … with another body
-- Events of each job: queued, or scheduled (not published: nobody can know the job yet)
--@include base
--@include counts
--@include queues
local LARGEST_FIELD = 64

local record_name, body_hash, epoch, record_life = argument(), argument(), argument(), argument()
local record_key = prefix .. 'once:' .. record_name
if record_name ~= '' then
  local record = redis.call('GET', record_key)
  if record then
    if string.sub(record, 1, #body_hash + 1) == body_hash .. '\n' then return { 'replayed', record } end
    return { 'mismatch' }
  end
end

local again, number_of_jobs = argument(), tonumber(argument())
if again ~= '' then
  local created = redis.call('HGET', job_key(ARGV[last_argument + 1]), 'created')
  if created then
    local statuses = {}
    for n = 1, number_of_jobs do
      local id = ARGV[last_argument + 1 + (n - 1) * 6]
      statuses[n] = redis.call('HEXISTS', job_key(id), '1') == 1 and 'scheduled' or 'queued'
    end
    return { 'stored', created, statuses }
  end
end

local first_order = next_orders(number_of_jobs)
local statuses, index, receipts, seen = {}, {}, {}, {}
for n = 1, number_of_jobs do
  local id, type, policy, payload, tags, when = argument(), argument(), argument(), argument(), argument(), argument()
  local job = job_key(id)
  local order = first_order + n - 1
  local due = 0
  if when ~= '' then
    due = tonumber(string.sub(when, 2))
    if string.sub(when, 1, 1) == '+' then due = now + due end
  end
  local status = due > now and 'scheduled' or 'queued'
  local place = place_of(policy, order)
  local small = #payload <= LARGEST_FIELD
  -- A small hash is searched from its beginning: what is asked for most often comes first.
  redis.call('HSET', job, 'seq', '1', 'status', status, 'type', type, 'policy', policy,
    small and 'payload' or 'tags', small and payload or tags, 'created', now_text, 'place', place)
  if not small then redis.call('SET', prefix .. 'payload:' .. id, payload) end
  if small and tags ~= '' then redis.call('HSET', job, 'tags', tags) end
  if status == 'queued' then
    enqueue(type, place, id)
  else
    redis.call('HSET', job, 'due', due, '1', now_text .. ' scheduled ' .. digits(due))
    redis.call('ZADD', prefix .. 'scheduled', due, id)
    count('scheduled', type, 1)
  end
  index[2 * n - 1] = digits(order)
  index[2 * n] = id
  statuses[n] = status
  if record_name ~= '' then receipts[n] = id .. ' ' .. type .. ' ' .. status end
  if not seen[type] then
    seen[type] = true
    redis.call('HSETNX', prefix .. 'types', type, '')
  end
end
redis.call('ZADD', prefix .. 'jobs', unpack(index))
if record_name ~= '' then
  local record = body_hash .. '\n' .. epoch .. '\n' .. now_text .. '\n' .. table.concat(receipts, '\n')
  redis.call('SET', record_key, record, 'PX', record_life)
end
store_counts()
store_queued()
return { 'stored', now_text, statuses }
