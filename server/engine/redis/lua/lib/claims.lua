-- Claims, and what they leave behind: a lease is `<worker>/<token>`, the same for all jobs of the claim; `leases` holds
-- their ids by the end of the lease, `claim:<worker>:<claim>` what the claim got, for as long as its leases: `<lease> <at>
-- <ids>`.

--@part claims
-- Claims jobs. Arguments, from behind `at`: number of claims, then of each: its memory `<worker>:<claim id>`, the lease that
-- it hands out, pool, the entry among the idle that waits under this claim or '', length of the lease in ms, jobs in all,
-- number of limited types, then type and free slots of each (types of the pool that are not named have room for all).
-- Adds to `reply` of each claim
--       lease, when it was claimed (where that was before: and now), lines: id, kind, payload, born and past of each job,
--       the payloads that are left out there; or
--       'unknown_pool': nothing was claimed, join first
-- No part of a line has a line break, so they go as one text; but for a payload that is kept apart, which stays as it is, and is ''
-- where it is so large that it has to be read by itself. Past is '' of a job that has waited since its submission, else
-- `<attempt> <stalls>`.
--
-- Takes call, try, prefix, job_prefix, digits, clock, now, now_text, parse_state, run_of, count, arguments, at, reply.
-- Gives at.
do
  local claim_event = now_text .. ' claimed'
  local first_claim_event = '2 ' .. claim_event
  local queue_prefix, watch_prefix = prefix .. 'queue:', prefix .. 'watch:'

  at = at + 1
  for _ = 1, arguments[at] do
    local memory, lease, pool = prefix .. 'claim:' .. arguments[at + 1], arguments[at + 2], arguments[at + 3]
    local entry, lease_ms, remaining = arguments[at + 4], arguments[at + 5], tonumber(arguments[at + 6])
    local number_of_limits = tonumber(arguments[at + 7])
    at = at + 7
    local limits = {}
    for _ = 1, number_of_limits do
      limits[arguments[at + 1]] = tonumber(arguments[at + 2])
      at = at + 2
    end
    --@run pools.keep
    -- From here on no job is handed over under this claim: one was before, and is remembered, or none ever is.
    if is_known and entry ~= '' then call('ZREM', prefix .. 'idle:' .. pool, entry) end
    local earlier = is_known and call('GET', memory)
    local head = #reply
    if not is_known then
      reply[head + 1] = 'unknown_pool'
    elseif earlier then
      -- The jobs that are still held under its lease.
      local earlier_lease, claimed_at, ids = string.match(earlier, '^(%S+) (%S+) (.*)')
      local cells = {}
      reply[head + 1], reply[head + 2], reply[head + 3] = earlier_lease, claimed_at .. ' ' .. now_text, ''
      for id in string.gmatch(ids, '%S+') do
        local job = job_prefix .. id
        local state, kind, payload, born = unpack(call('HMGET', job, 'state', 'kind', 'payload', 'born'))
        if run_of(state, earlier_lease) then
          local past = ''
          --@run claims.past
          for _, cell in ipairs({ id, kind, payload or '', born, past }) do cells[#cells + 1] = cell end
          if not payload then
            payload = call('GET', prefix .. 'payload:' .. id) or 'null'
            reply[#reply + 1] = #payload > $LARGE and '' or payload
          end
        end
      end
      reply[head + 3] = table.concat(cells, '\n')
    else
      local ready = prefix .. 'ready:' .. pool
      local cells, ids, leases, served = {}, {}, {}, {}
      local lease_end = digits(now + lease_ms)
      local first_state = '2 processing ' .. lease
      local payload_bytes = 0
      local ready_types, emptied, turn
      reply[head + 1], reply[head + 2], reply[head + 3] = lease, now_text, ''

      -- One round after the other; in each, every type with jobs and room gets the same share.
      repeat
        emptied = {}
        local most = remaining + number_of_limits + 1
        ready_types = call('ZRANGE', ready, 0, most - 1)
        -- A single type need not take turns; of others, those that are served go behind those that are not.
        turn = #ready_types > 1 and clock[1] .. string.format('%06d', clock[2])
        local active = ready_types
        if number_of_limits > 0 then
          active = {}
          for _, type in ipairs(ready_types) do
            if (limits[type] or remaining) > 0 then active[#active + 1] = type end
          end
        end
        while remaining > 0 and #active > 0 do
          local share = math.max(1, math.floor(remaining / #active))
          local still_active = {}
          for _, type in ipairs(active) do
            if remaining <= 0 then break end
            local limit = limits[type]
            local wanted = share < remaining and share or remaining
            if limit and limit < wanted then wanted = limit end
            local queue = queue_prefix .. type
            -- ZPOPMIN would write out and read again a score for each of several.
            local next_ids = wanted == 1 and call('ZPOPMIN', queue) or call('ZRANGE', queue, 0, wanted - 1)
            local looked_at, started = 0, 0
            while looked_at < wanted and payload_bytes <= $MOST_CLAIM_BYTES do
              local id = next_ids[looked_at + 1]
              if not id then break end
              looked_at = looked_at + 1
              local job = job_prefix .. id
              local state, kind, born, payload = unpack(call('HMGET', job, 'state', 'kind', 'born', 'payload'))
              local last_seq, status = 1, 'queued'
              if state ~= '1 queued' then last_seq, status = parse_state(state or '0 missing') end
              -- Another one stands in line where a script came to no end.
              if status == 'queued' then
                local past = ''
                if state == '1 queued' then
                  call('HSET', job, 'state', first_state, '2', claim_event)
                  try('PUBLISH', watch_prefix .. id, first_claim_event)
                else
                  local seq_number = last_seq + 1
                  local seq = digits(seq_number)
                  --@run claims.past
                  call('HDEL', job, 'progress', 'reported')
                  call('HSET', job, 'state', seq .. ' processing ' .. lease, seq, claim_event)
                  --@run events.trim
                  try('PUBLISH', watch_prefix .. id, seq .. ' ' .. claim_event)
                end
                local last = #cells
                cells[last + 1], cells[last + 2], cells[last + 3] = id, kind, payload or ''
                cells[last + 4], cells[last + 5] = born, past
                if not payload then
                  payload = call('GET', prefix .. 'payload:' .. id) or 'null'
                  reply[#reply + 1] = #payload > $LARGE and '' or payload
                  payload_bytes = payload_bytes + #payload
                end
                started = started + 1
                ids[#ids + 1] = id
                leases[#leases + 1] = lease_end
                leases[#leases + 1] = id
              end
            end
            if wanted > 1 and looked_at > 0 then call('ZREMRANGEBYRANK', queue, 0, looked_at - 1) end
            if started > 0 then count('processing', type, started) end
            if limit then limits[type] = limit - looked_at end
            local is_full = payload_bytes > $MOST_CLAIM_BYTES
            remaining = is_full and 0 or remaining - started
            if looked_at < wanted and not is_full then
              emptied[#emptied + 1] = type
            else
              if turn then
                served[#served + 1] = turn
                served[#served + 1] = type
              end
              if remaining > 0 and (limits[type] or 1) > 0 then still_active[#still_active + 1] = type end
            end
          end
          active = still_active
        end
        if #emptied > 0 then call('ZREM', ready, unpack(emptied)) end
        -- Where all ready types were looked at, those that were found empty leave none to be looked at.
      until remaining <= 0 or #emptied == 0 or #ready_types < most

      if #ids > 0 then
        --@run claims.remember
      end
      if turn and #served > 0 then call('ZADD', ready, 'XX', unpack(served)) end
      -- Whoever was woken for several jobs and could not take all wakes the next.
      if remaining <= 0 and call('ZCARD', prefix .. 'idle:' .. pool) > 0 then
        --@include idle
        for _, type in ipairs(call('ZRANGE', ready, 0, 9)) do
          if call('ZCARD', queue_prefix .. type) > 0 and wake(pool, type) then break end
        end
      end
      reply[head + 3] = table.concat(cells, '\n')
    end
  end
end

--@part past
-- The past of a job where it has not simply waited since its submission.
--
-- Takes call, job, past.
-- Gives past.
do
  local attempt, stalls, scheduled, retried = unpack(call('HMGET', job, 'attempt', 'stalls', '1', 'retried'))
  if attempt or stalls or scheduled or retried then past = (attempt or '1') .. ' ' .. (stalls or '0') end
end

--@part remember
-- Stores what a claim leaves behind. `leases`: of each job the end of its lease and its id.
--
-- Takes call, prefix, now_text, memory, lease, lease_ms, ids, leases.
do
  -- Redis keeps a small sorted set as a plain list, which every change walks through: with a hundred runs that is most of
  -- what claiming and settling cost. A member this long makes it a real sorted set; its lease never ends.
  local KEEPS_LEASES_SORTED = '-----------------------------------------------------------------'
  call('ZADD', prefix .. 'leases', '+inf', KEEPS_LEASES_SORTED, unpack(leases))
  local record = lease .. ' ' .. now_text .. ' ' .. table.concat(ids, ' ')
  local SHORTEST_MEMORY_MS = 2500
  -- However short the lease, a lost answer has to be noticed and the claim sent again.
  call('SET', memory, record, 'PX', math.max(tonumber(lease_ms), SHORTEST_MEMORY_MS))
end
