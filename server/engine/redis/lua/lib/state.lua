-- A job's `state` names its seq, its status and what belongs to that, and with it the fence.
--
-- Gives parse_state, run_of.

-- Takes a state apart: its seq as a number, its status (`cancelling` where a running job is to be cancelled), and with it
-- the lease of a run, the time at which a scheduled job is due or a terminal one is forgotten, or ''.
local function parse_state(state)
  local seq, status, detail = string.match(state, '^(%d+) (%a+) ?(.*)$')
  return tonumber(seq), status, detail
end

-- This is the fence: it tells whether a job runs under this very lease. Returns its seq and status if so ('processing' or
-- 'cancelling'), nil if not. A job's state names the lease of its run, so what has to be read anyway proves it.
local function run_of(state, lease)
  if not state then return nil end
  local seq, status, held = parse_state(state)
  if held ~= lease or status ~= 'processing' and status ~= 'cancelling' then return nil end
  return seq, status
end
