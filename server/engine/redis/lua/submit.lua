-- Stores new jobs, all or none, in order. One that would be alone in its queue is handed to an idle worker where there is
-- one, and starts there without having been in line; it is answered as queued, which it was first. Refused when Redis is
-- out of memory, since its first write is refused.
--
-- KEYS  1: prefix of the partition
-- ARGV  key of the idempotency record or '', digest of the body, epoch, life of the record in ms;
--       'again' where this very call may have been carried out before, what the tokens of jobs handed over start with,
--       number of jobs, then of each group of jobs that are alike: kind, when ('' now, '+<ms>' from now or
--       '@<ms since 1970>') followed by tags (' ' and JSON) where there are any, number of its jobs, and of each: id,
--       payload (JSON)
-- Reply { 'stored', now, the jobs' statuses with spaces in between }
--       { 'replayed', record }: the key was used with this body before
--       { 'mismatch' }: … with another body
-- Events of each job: queued, and claimed where it is handed over, or scheduled (not published: nobody can know the job
--       yet)
--@include base
--@include counts
--@include pools
--@include queues
--@include leases
--@include handover
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

local again, token_start, number_of_jobs = argument(), argument(), tonumber(argument())
local first_argument = last_argument

-- When jobs are due, and their tags as `born` has them.
local function parse_extras(extras)
  if extras == '' then return 0, '' end
  local from, time, tags = string.match(extras, '^([+@]?)(-?%d*)(.*)$')
  if from == '' then return 0, tags end
  return tonumber(time) + (from == '+' and now or 0), tags
end

-- Calls back with the number, id and payload of each job, and what those of its group have in common.
local function each_job(visit)
  last_argument = first_argument
  local n = 0
  while n < number_of_jobs do
    local kind_text, extras, amount = next_arguments(3)
    local kind = kind_of(kind_text)
    local due, tags = parse_extras(extras)
    for _ = 1, tonumber(amount) do
      n = n + 1
      local id, payload = next_arguments(2)
      visit(n, id, payload, kind, kind_text, due, tags)
    end
  end
end

local statuses, index, receipts, seen = {}, {}, {}, {}
-- Type -> the first job of it that is to be queued, as a worker takes it.
local first_queued = {}

if again ~= '' then
  local created
  each_job(function(n, id)
    local born = call('HGET', job_key(id), 'born')
    created = created or born and string.match(born, '^%d+')
    statuses[n] = call('HEXISTS', job_key(id), '1') == 1 and 'scheduled' or 'queued'
  end)
  if created then return { 'stored', created, table.concat(statuses, ' ') } end
end

local first_order = next_orders(number_of_jobs)

-- A small hash is searched from its beginning: what is asked for most often comes first.
local function store(n, id, payload, kind, kind_text, due, tags)
  local job = job_key(id)
  local type = kind.type
  local order = order_text(first_order + n - 1)
  local place = kind.rank .. order
  local born = now_text .. ' ' .. place .. tags
  local status, state = 'queued', '1 queued'
  if due > now then
    local due_text = digits(due)
    status, state = 'scheduled', '1 scheduled ' .. due_text
    call('HSET', job, '1', now_text .. ' scheduled ' .. due_text)
    call('ZADD', prefix .. 'scheduled', due_text, id)
    count('scheduled', type, 1)
  else
    enqueue(type, place, id)
    if not first_queued[type] then first_queued[type] = { id, kind_text, payload, born, '' } end
  end
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
each_job(store)
call('ZADD', prefix .. 'jobs', unpack(index))
if record_name ~= '' then
  local record = body_hash .. '\n' .. epoch .. '\n' .. now_text .. '\n' .. table.concat(receipts, '\n')
  call('SET', record_key, record, 'PX', record_life)
end
store_queued(function(type, id)
  return hand_over(type, id, table.concat(first_queued[type], '\n'), token_start)
end)
store_counts()
return { 'stored', now_text, table.concat(statuses, ' ') }
