-- The fence: whether a job runs under this very lease. Its seq and status if so ('processing' or 'cancelling'), nil if
-- not. A job's state names the lease of its run, so what has to be read anyway proves it.
local function run_of(state, lease)
  if not state then return nil end
  local seq, status, held = parse_state(state)
  if held ~= lease or status ~= 'processing' and status ~= 'cancelling' then return nil end
  return seq, status
end
