-- Moves scheduled jobs whose time has come to the end of their queues. Works when Redis is out of memory.
--
-- KEYS  1: prefix of the partition
-- ARGV  most jobs
-- Reply { promoted, ms until the next one is due or '' }
-- Events promoted
--@include base
--@include states
--@include kinds
--@include counts
--@include events
--@include trim
--@include places
--@include queues
local limit = tonumber(ARGV[1])
local scheduled = prefix .. 'scheduled'
local due = call('ZRANGEBYSCORE', scheduled, '-inf', now_text, 'WITHSCORES', 'LIMIT', 0, limit)

local promoted = 0
if #due > 0 then
--@include begin
  -- Of those that are due together, the one that was submitted first goes first.
  local jobs, ids = {}, {}
  for at = 1, #due, 2 do ids[#ids + 1] = due[at] end
  local orders = call('ZMSCORE', prefix .. 'jobs', unpack(ids))
  for n, id in ipairs(ids) do
    jobs[n] = { id = id, due = tonumber(due[2 * n]), order = tonumber(orders[n] or '0') }
  end
  table.sort(jobs, function(one, other)
    if one.due ~= other.due then return one.due < other.due end
    if one.order ~= other.order then return one.order < other.order end
    return one.id < other.id
  end)

  for _, entry in ipairs(jobs) do
    local id = entry.id
    local job = job_prefix .. id
    local state, kind_text, born = unpack(call('HMGET', job, 'state', 'kind', 'born'))
    local last_seq, status = parse_state(state or '0 missing')
    -- Another one is here where a script came to no end.
    if status == 'scheduled' then
      local kind = kind_of(kind_text)
      local place = next_place(kind)
      local seq_number = last_seq + 1
      local seq = digits(seq_number)
      local event = now_text .. ' promoted'
      call('HSET', job, 'state', seq .. ' queued', 'born', with_place(born, place), seq, event)
      trim_status_events(job, seq_number)
      publish(id, seq, event)
      count('scheduled', kind.type, -1)
      enqueue(kind.type, place, id)
      promoted = promoted + 1
    end
  end
  call('ZREM', scheduled, unpack(ids))
--@include idle
--@include store_queued
--@include store_counts
--@include finish
end

local next_due = call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
return { promoted, next_due and math.max(0, tonumber(next_due) - now) or '' }
