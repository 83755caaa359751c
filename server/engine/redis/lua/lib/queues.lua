-- Queues, and who is told about them. Every type is a queue: a sorted set by place.
-- The text of an order, as long for every one of them: as a score it is a number, and what is put in front counts more.
local function order_text(order)
  return string.format('%014d', order)
end

-- The place in line of an order taken from `next_orders`: by priority, then by order.
local function place_of(kind, order)
  return kind.rank .. order_text(order)
end

-- A job's `born` with another place in line.
local function with_place(born, place)
  return (string.gsub(born, ' %d+', ' ' .. place, 1))
end

local function place_in(born)
  return string.match(born, ' (%d+)')
end

-- Takes as many numbers of the partition's order as asked for; returns the first of them.
local function next_orders(amount)
  return call('HINCRBY', prefix .. 'order', 'last', amount) - amount + 1
end

-- Says that so many jobs of a type were queued, behind those that were there before. Of each pool that runs the type,
-- one idle worker a job is woken.
local function offer(type, amount, before)
  if call('SISMEMBER', prefix .. 'paused', type) == 1 then return end
  for _, pool in ipairs(call('SMEMBERS', prefix .. 'pools:' .. type)) do
    if before == 0 then call('ZADD', prefix .. 'ready:' .. pool, 'NX', turn(0), type) end
    for _ = 1, amount do
      if not wake(pool, type) then break end
    end
  end
end

-- Type -> { place, id, place, id, … } of jobs that this script queues.
local queueing = {}

local function enqueue(type, place, id)
  local entries = queueing[type]
  if not entries then
    entries = {}
    queueing[type] = entries
  end
  entries[#entries + 1] = place
  entries[#entries + 1] = id
end

-- Puts all of them into their queues at once; comes last, so that whoever is woken finds everything stored. The only job
-- of a type whose queue is empty is first offered to `hand_over`, where there is one.
local function store_queued(hand_over)
  for type, entries in pairs(queueing) do
    local queue = prefix .. 'queue:' .. type
    local before = call('ZCARD', queue)
    if not (hand_over and before == 0 and #entries == 2 and hand_over(type, entries[2])) then
      call('ZADD', queue, unpack(entries))
      offer(type, #entries / 2, before)
    end
  end
end
