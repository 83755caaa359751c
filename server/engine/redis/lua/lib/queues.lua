-- Type -> { place, id, place, id, … } of jobs that this script queues (lib/store_queued.lua).
local queueing = {}

local function enqueue(type, place, id)
  local entries = queueing[type]
  if not entries then
    queueing[type] = { place, id }
    return
  end
  entries[#entries + 1] = place
  entries[#entries + 1] = id
end
