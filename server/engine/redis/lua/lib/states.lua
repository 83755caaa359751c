-- Takes a job's `state` apart: its seq as a number, its status (`cancelling` where a running job is to be cancelled),
-- and with it the lease of a run, the time at which a scheduled job is due or a terminal one is forgotten, or ''.
local function parse_state(state)
  local seq, status, detail = string.match(state, '^(%d+) (%a+) ?(.*)$')
  return tonumber(seq), status, detail
end
