-- Claims jobs. Arguments: number of claims, then of each: its memory `<worker>:<claim id>`, the lease that it hands out
-- (lib/leases.lua), pool, the entry among the idle that waits under this claim or '', length of the lease in ms, jobs in
-- all, number of limited types, then type and free slots of each (types of the pool that are not named have room for
-- all).
-- Runs in place, after `arguments` and `at`, the last one taken; leaves `claims`, the reply of each:
--       { lease, now, lines: id, kind, payload, born and past of each, { the payloads that are left out there } }
--       'unknown_pool': nothing was claimed, join first
-- No part of a line has a line break, so they go as one text; but for a payload that is kept apart, which stays as it is.
local claims = {}
do
  local MOST_CLAIM_BYTES = 4194304
  local claim_event = now_text .. ' claimed'
  local first_claim_event = '2 ' .. claim_event
  local watch_prefix = prefix .. 'watch:'

  at = at + 1
  for number = 1, tonumber(arguments[at]) do
    local memory, lease, pool = prefix .. 'claim:' .. arguments[at + 1], arguments[at + 2], arguments[at + 3]
    local entry, lease_ms, remaining = arguments[at + 4], tonumber(arguments[at + 5]), tonumber(arguments[at + 6])
    local number_of_limits = tonumber(arguments[at + 7])
    at = at + 7
    local limits = {}
    for _ = 1, number_of_limits do
      limits[arguments[at + 1]] = tonumber(arguments[at + 2])
      at = at + 2
    end
    local cells, payloads, payload_bytes = {}, {}, 0
    local is_known = keep_pool(pool, now_text)
    -- From here on no job is handed over under this claim: one was before, and is remembered, or none ever is.
    if is_known and entry ~= '' then call('ZREM', prefix .. 'idle:' .. pool, entry) end
    local earlier = is_known and call('GET', memory)
    if not is_known then
      claims[number] = 'unknown_pool'
    elseif earlier then
      -- The jobs that are still held under its lease.
--@include past
      local earlier_lease, claimed_at, ids = string.match(earlier, '^(%S+) (%S+) (.*)')
      for id in string.gmatch(ids, '%S+') do
        local job = job_prefix .. id
        local state, kind, payload, born = unpack(call('HMGET', job, 'state', 'kind', 'payload', 'born'))
        if run_of(state, earlier_lease) then
          for _, cell in ipairs({ id, kind, payload or '', born, past_of(job) }) do cells[#cells + 1] = cell end
          if not payload then payloads[#payloads + 1] = call('GET', prefix .. 'payload:' .. id) or 'null' end
        end
      end
      claims[number] = { earlier_lease, claimed_at, table.concat(cells, '\n'), payloads }
    else
      local ready = prefix .. 'ready:' .. pool
      local leases, ids, turns = {}, {}, {}
      local lease_end = digits(now + lease_ms)
      local first_state = '2 processing ' .. lease
      local ready_types, emptied
      local is_full = false

      -- One round after the other; in each, every type with jobs and room gets the same share.
      repeat
        emptied = {}
        local most = remaining + number_of_limits + 1
        ready_types = call('ZRANGE', ready, 0, most - 1)
        local active = {}
        for _, type in ipairs(ready_types) do
          if (limits[type] or remaining) > 0 then active[#active + 1] = type end
        end
        while remaining > 0 and #active > 0 do
          local share = math.max(1, math.floor(remaining / #active))
          local still_active = {}
          for _, type in ipairs(active) do
            if remaining <= 0 then break end
            local wanted = math.min(share, remaining, limits[type] or remaining)
            local queue = prefix .. 'queue:' .. type
            -- Of several not ZPOPMIN, which would write out and read again a score for each.
            local next_ids = wanted == 1 and { call('ZPOPMIN', queue)[1] } or call('ZRANGE', queue, 0, wanted - 1)
            local looked_at, started = 0, 0
            for _, id in ipairs(next_ids) do
              if is_full then break end
              looked_at = looked_at + 1
              local job = job_prefix .. id
              local state, kind, born, payload = unpack(call('HMGET', job, 'state', 'kind', 'born', 'payload'))
              if state then
                local past = ''
                if state == '1 queued' then
                  call('HSET', job, 'state', first_state, '2', claim_event)
                  call('PUBLISH', watch_prefix .. id, first_claim_event)
                else
--@include trim
--@include past
                  local seq = parse_state(state) + 1
                  past = past_of(job)
                  call('HDEL', job, 'progress', 'reported')
                  call('HSET', job, 'state', digits(seq) .. ' processing ' .. lease, seq, claim_event)
                  trim_status_events(job, seq)
                  call('PUBLISH', watch_prefix .. id, digits(seq) .. ' ' .. claim_event)
                end
                local last = #cells
                cells[last + 1], cells[last + 2], cells[last + 3] = id, kind, payload or ''
                cells[last + 4], cells[last + 5] = born, past
                if not payload then
                  payload = call('GET', prefix .. 'payload:' .. id) or 'null'
                  payloads[#payloads + 1] = payload
                  payload_bytes = payload_bytes + #payload
                  is_full = payload_bytes > MOST_CLAIM_BYTES
                end
                started = started + 1
                ids[#ids + 1] = id
                leases[#leases + 1] = lease_end
                leases[#leases + 1] = id
              end
            end
            if wanted > 1 and looked_at > 0 then call('ZREMRANGEBYRANK', queue, 0, looked_at - 1) end
            if started > 0 then count('processing', type, started) end
            remaining = is_full and 0 or remaining - started
            if limits[type] then limits[type] = limits[type] - looked_at end
            if looked_at < wanted and not is_full then
              emptied[#emptied + 1] = type
              turns[type] = nil
            else
              turns[type] = true
              if (limits[type] or 1) > 0 then still_active[#still_active + 1] = type end
            end
          end
          active = still_active
        end
        if #emptied > 0 then call('ZREM', ready, unpack(emptied)) end
        -- Where all ready types were looked at, those that were found empty leave none to be looked at.
      until remaining <= 0 or #emptied == 0 or #ready_types < most

      if #ids > 0 then store_claim(memory, lease, lease_ms, ids, leases) end
      -- A single type need not take turns; of others, those that were served go behind those that were not.
      if #ready_types > 1 then
        local turn = clock[1] .. string.format('%06d', clock[2])
        local served = {}
        for type in pairs(turns) do
          served[#served + 1] = turn
          served[#served + 1] = type
        end
        if #served > 0 then call('ZADD', ready, 'XX', unpack(served)) end
      end
      -- Whoever was woken for several jobs and could not take all wakes the next.
      if remaining <= 0 and call('ZCARD', prefix .. 'idle:' .. pool) > 0 then
--@include wake
        for _, type in ipairs(call('ZRANGE', ready, 0, 9)) do
          if call('ZCARD', prefix .. 'queue:' .. type) > 0 and wake(pool, type) then break end
        end
      end
      claims[number] = { lease, now_text, table.concat(cells, '\n'), payloads }
    end
  end
end
