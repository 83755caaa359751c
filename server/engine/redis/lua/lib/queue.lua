-- Jobs that are to be run: now, in the queue of their type, or later, in `scheduled`. A queue sorts by score: what a job's
-- priority leaves to the highest, then the order in which jobs came there, as text of one length. The order is taken from
-- one counter of the partition; jobs that are submitted together share one, and their ids, which ascend, tell them apart.

--@part store
-- Puts jobs into their queues; comes last. `queueing`: type -> { score, id, score, id, … }. A type whose queue had jobs is
-- known to its pools, so that where all had and nobody is idle there is nothing else to do, however many types they are.
--
-- Takes call, try, prefix, clock, queueing, is_anybody_idle.
do
  local types, queues = {}, {}
  for type in pairs(queueing) do
    types[#types + 1] = type
    queues[#types] = prefix .. 'queue:' .. type
  end
  if #types > 0 and (is_anybody_idle or call('EXISTS', unpack(queues)) < #types) then
    --@include pools
    local routes = call('HMGET', prefix .. 'routes', unpack(types))
    local ready, pools = {}, {}
    for n, type in ipairs(types) do
      local status, runners = parse_runners(routes[n])
      if status == 'new' then open_type(type, runners) end
      if status ~= 'paused' then
        for pool in string.gmatch(runners, '%S+') do
          local entries = ready[pool]
          if not entries then
            entries = {}
            ready[pool] = entries
            pools[#pools + 1] = pool
          end
          entries[#entries + 1] = type
        end
      end
    end
    for _, pool in ipairs(pools) do
      make_ready(pool, ready[pool])
      if is_anybody_idle and call('SISMEMBER', prefix .. 'waiting', pool) == 1 then
        --@include idle
        for _, type in ipairs(ready[pool]) do
          for _ = 1, #queueing[type] / 2 do
            if not wake(pool, type) then break end
          end
        end
      end
    end
  end
  for n, type in ipairs(types) do call('ZADD', queues[n], unpack(queueing[type])) end
end

--@part tell_due
-- Tells where a job that was scheduled is due before everything else, so that it is promoted in time whatever becomes of
-- the process that had it stored. Of those that this script has scheduled it is the one that is due first.
--
-- Takes call, try, prefix, digits, now, first_due, first_due_id.
if first_due and call('ZRANGE', prefix .. 'scheduled', 0, 0)[1] == first_due_id then
  try('PUBLISH', prefix .. 'due', digits(first_due - now))
end
