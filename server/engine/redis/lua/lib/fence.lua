-- The fence: whether a job runs under this very lease. Its seq and status if so ('processing' or 'cancelling'), nil if
-- not. A job's state names the lease of its run, so what has to be read anyway proves it.
local RUNNING = { processing = true, cancelling = true }

local function run_of(state, lease)
  if not state then return nil end
  -- Nearly always: a job's first run, that has reported nothing. Comparing takes less than taking apart.
  if state == '2 processing ' .. lease then return 2, 'processing' end
  local seq, status, held = parse_state(state)
  if held ~= lease or not RUNNING[status] then return nil end
  return seq, status
end
