-- Stores new jobs, all or none, in order. Refused when Redis is out of memory, since its first write is refused.
--
-- KEYS  1: prefix of the partition
-- ARGV  key of the idempotency record or '', digest of the body, epoch, life of the record in ms;
--       'again' where this very call may have been carried out before, number of jobs, then of each: id,
--       kind, payload (JSON), when: '' (now), '+<ms>' (from now) or '@<ms since 1970>', followed by its tags: ' ' and
--       JSON, where it has any
-- Reply { 'stored', now, the jobs' statuses with spaces in between }
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
  local record = call('GET', record_key)
  if record then
    if string.sub(record, 1, #body_hash + 1) == body_hash .. '\n' then return { 'replayed', record } end
    return { 'mismatch' }
  end
end

local again, number_of_jobs = argument(), tonumber(argument())
if again ~= '' then
  local born = call('HGET', job_key(ARGV[last_argument + 1]), 'born')
  if born then
    local created = string.match(born, '^%d+')
    local statuses = {}
    for n = 1, number_of_jobs do
      local id = ARGV[last_argument + 1 + (n - 1) * 4]
      statuses[n] = call('HEXISTS', job_key(id), '1') == 1 and 'scheduled' or 'queued'
    end
    return { 'stored', created, table.concat(statuses, ' ') }
  end
end

local first_order = next_orders(number_of_jobs)
local statuses, index, receipts, seen = {}, {}, {}, {}
for n = 1, number_of_jobs do
  local id, kind_text, payload, extras = next_arguments(4)
  local job = job_key(id)
  local kind = kind_of(kind_text)
  local type = kind.type
  local order = order_text(first_order + n - 1)
  local due, tags = 0, ''
  if extras ~= '' then
    local from, time
    from, time, tags = string.match(extras, '^([+@]?)(-?%d*)(.*)$')
    if from ~= '' then due = tonumber(time) + (from == '+' and now or 0) end
  end
  local status = due > now and 'scheduled' or 'queued'
  local place = kind.rank .. order
  local born = now_text .. ' ' .. place .. tags
  local state = '1 queued'
  if status == 'scheduled' then
    local due_text = digits(due)
    state = '1 scheduled ' .. due_text
    call('HSET', job, '1', now_text .. ' scheduled ' .. due_text)
    call('ZADD', prefix .. 'scheduled', due_text, id)
    count('scheduled', type, 1)
  else
    enqueue(type, place, id)
  end
  -- A small hash is searched from its beginning: what is asked for most often comes first.
  if #payload <= LARGEST_FIELD then
    call('HSET', job, 'state', state, 'kind', kind_text, 'born', born, 'payload', payload)
  else
    call('HSET', job, 'state', state, 'kind', kind_text, 'born', born)
    call('SET', prefix .. 'payload:' .. id, payload)
  end
  index[2 * n - 1] = order
  index[2 * n] = id
  statuses[n] = status
  if record_name ~= '' then receipts[n] = id .. ' ' .. type .. ' ' .. status end
  if not seen[type] then
    seen[type] = true
    call('HSETNX', prefix .. 'types', type, '')
  end
end
call('ZADD', prefix .. 'jobs', unpack(index))
if record_name ~= '' then
  local record = body_hash .. '\n' .. epoch .. '\n' .. now_text .. '\n' .. table.concat(receipts, '\n')
  call('SET', record_key, record, 'PX', record_life)
end
store_counts()
store_queued()
return { 'stored', now_text, table.concat(statuses, ' ') }
