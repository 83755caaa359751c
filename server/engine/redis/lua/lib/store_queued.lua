-- Puts the jobs of `queueing` into their queues; comes last. A type whose queue had jobs is known to its pools, so that
-- where all had and nobody is idle there is nothing else to do, however many types they are.
do
  local types, queues = {}, {}
  for type in pairs(queueing) do
    types[#types + 1] = type
    queues[#types] = prefix .. 'queue:' .. type
  end
  if #types > 0 and (is_anybody_idle or call('EXISTS', unpack(queues)) < #types) then
--@include wake
    local routes = call('HMGET', prefix .. 'routes', unpack(types))
    local ready, pools = {}, {}
    local turn = clock[1] .. string.format('%06d', clock[2])
    for n, type in ipairs(types) do
      local status, route = string.match(routes[n] or 'new', '^(%a+)(.*)')
      if status == 'new' then
        call('HSETNX', prefix .. 'types', type, '')
        call('HSET', prefix .. 'routes', type, 'open' .. route)
      end
      if status ~= 'paused' then
        for pool in string.gmatch(route, '%S+') do
          local entries = ready[pool]
          if not entries then
            entries = {}
            ready[pool] = entries
            pools[#pools + 1] = pool
          end
          entries[#entries + 1] = turn
          entries[#entries + 1] = type
        end
      end
    end
    for _, pool in ipairs(pools) do
      local entries = ready[pool]
      call('ZADD', prefix .. 'ready:' .. pool, 'NX', unpack(entries))
      if is_anybody_idle and call('SISMEMBER', prefix .. 'waiting', pool) == 1 then
        for at = 2, #entries, 2 do
          local type = entries[at]
          for _ = 1, #queueing[type] / 2 do
            if not wake(pool, type) then break end
          end
        end
      end
    end
  end
  for n, type in ipairs(types) do call('ZADD', queues[n], unpack(queueing[type])) end
end
